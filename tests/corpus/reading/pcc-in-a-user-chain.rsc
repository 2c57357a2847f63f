/ip firewall mangle
add action=jump chain=prerouting connection-mark=no-mark in-interface=lan jump-target=balance
add action=mark-connection chain=balance new-connection-mark=c1 per-connection-classifier=both-addresses:2/0
add action=mark-connection chain=balance new-connection-mark=c2 per-connection-classifier=both-addresses:2/1
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=lan new-routing-mark=isp2
/ip route
add gateway=192.0.2.1%ether1 routing-mark=isp1
add gateway=198.51.100.1%ether2 routing-mark=isp2
