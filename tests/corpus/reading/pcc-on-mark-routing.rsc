/ip firewall mangle
add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp1 passthrough=no per-connection-classifier=both-addresses:2/0
add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp2 passthrough=no per-connection-classifier=both-addresses:2/1
/ip route
add gateway=192.0.2.1%ether1 routing-mark=isp1
add gateway=198.51.100.1%ether2 routing-mark=isp2
