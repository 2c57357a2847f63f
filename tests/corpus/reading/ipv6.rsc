/ipv6 firewall mangle
add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=c1 per-connection-classifier=src-address:2/0
add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=c2 per-connection-classifier=src-address:2/1
add action=mark-routing chain=prerouting connection-mark=c1 new-routing-mark=isp1 src-address=2001:db8::/32
/ipv6 route
add dst-address=::/0 gateway=fe80::1%ether1 routing-table=isp1
add gateway=2001:db8:1::1
add dst-address=2001:db8:9::/48 blackhole
/ipv6 firewall nat
add action=masquerade chain=srcnat out-interface=ether2
add action=src-nat chain=srcnat out-interface=ether1 to-address=2001:db8:1::2
