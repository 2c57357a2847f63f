/interface bridge
add name=lan
/ip address
add address=10.1.0.1/24 interface=lan
add address=192.0.2.2/30 interface=ether1
add address=198.51.100.2/30 interface=ether2

/ip firewall mangle
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c1 per-connection-classifier=both-addresses:2/0
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=c2 per-connection-classifier=both-addresses:2/1
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=lan new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=lan new-routing-mark=isp2
/routing table
add fib name=isp1
add fib name=isp2
/ip route
add gateway=192.0.2.1 routing-table=isp1
add gateway=198.51.100.1 routing-table=isp2
