/ip route vrf
add interfaces=ether5 routing-mark=guests
/ip route
add gateway=192.0.2.1 routing-mark=guests
