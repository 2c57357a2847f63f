/ip firewall mangle
add action=jump chain=prerouting connection-mark=no-mark connection-state=new in-interface=lan jump-target=divide
add action=mark-connection chain=divide new-connection-mark=first nth=3,1 passthrough=no
add action=mark-connection chain=divide new-connection-mark=second nth=2,1 passthrough=no
add action=mark-connection chain=divide new-connection-mark=third passthrough=no
add action=mark-routing chain=prerouting connection-mark=first in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=second in-interface=lan new-routing-mark=isp2
add action=mark-routing chain=prerouting connection-mark=third in-interface=lan new-routing-mark=isp3
/ip route
add gateway=192.0.2.1 routing-mark=isp1
add gateway=198.51.100.1 routing-mark=isp2
add gateway=203.0.113.1 routing-mark=isp3
