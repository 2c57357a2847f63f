/routing table
add fib name=isp1
/ip route
add gateway=192.0.2.1 routing-mark=isp1
add gateway=192.0.2.1 routing-table=isp1 distance=2
add gateway=198.51.100.1 routing-mark=isp2
