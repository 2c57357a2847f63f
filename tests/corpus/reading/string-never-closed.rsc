/ip route
add gateway=192.0.2.1 comment="the first
add gateway=198.51.100.1 distance=2
