# by RouterOS 7.16.1
/ip firewall mangle
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=fibre random=75
add action=mark-connection chain=prerouting connection-mark=no-mark in-interface=lan new-connection-mark=lte
add action=mark-routing chain=prerouting connection-mark=fibre in-interface=lan new-routing-mark=fibre passthrough=no
add action=mark-routing chain=prerouting connection-mark=lte in-interface=lan new-routing-mark=lte passthrough=no
/routing table
add disabled=no fib name=fibre
add disabled=no fib name=lte
/ip route
add dst-address=0.0.0.0/0 gateway=192.0.2.1 routing-table=fibre
add dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=lte
