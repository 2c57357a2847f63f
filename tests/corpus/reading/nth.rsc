/ip firewall mangle
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=odd nth=2,1 passthrough=no
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=even nth=1,1 passthrough=no
add action=mark-routing chain=prerouting connection-mark=odd in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=even in-interface=lan new-routing-mark=isp2
/ip route
add gateway=192.0.2.1 routing-mark=isp1
add gateway=198.51.100.1 routing-mark=isp2
