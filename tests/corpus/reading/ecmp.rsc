/ip route
add gateway=192.0.2.1,198.51.100.1,198.51.100.1 check-gateway=ping
add gateway=pppoe-out1,pppoe-out2 routing-mark=both
add gateway=192.0.2.1 routing-mark=equal
add gateway=198.51.100.1 routing-mark=equal
