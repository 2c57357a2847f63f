/interface bridge
add name=lan
/ip address
add address=10.1.0.1/24 interface=lan
add address=192.0.2.2/30 interface=ether1
add address=198.51.100.2/30 interface=ether2

/ip address add address=203.0.113.2/30 interface=ether3
/ip firewall mangle
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c1 per-connection-classifier=both-addresses-and-ports:6/0
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c1 per-connection-classifier=both-addresses-and-ports:6/1
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c1 per-connection-classifier=both-addresses-and-ports:6/2
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c2 per-connection-classifier=both-addresses-and-ports:3/0
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c2 per-connection-classifier=both-addresses-and-ports:3/1
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c3 per-connection-classifier=both-addresses-and-ports:6/5
add action=mark-routing chain=prerouting connection-mark=c1 new-routing-mark=isp1 in-interface=lan
add action=mark-routing chain=prerouting connection-mark=c2 new-routing-mark=isp2 in-interface=lan
add action=mark-routing chain=prerouting connection-mark=c3 new-routing-mark=isp3 in-interface=lan
/ip route
add gateway=192.0.2.1 routing-mark=isp1
add gateway=198.51.100.1 routing-mark=isp2
add gateway=203.0.113.1 routing-mark=isp3
