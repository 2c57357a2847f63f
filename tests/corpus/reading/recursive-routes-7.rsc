/ip address
add address=192.0.2.2/30 interface=ether1
/routing table add fib name=isp1
/ip route
add dst-address=8.8.8.8/32 gateway=192.0.2.1 scope=10
add check-gateway=ping dst-address=0.0.0.0/0 gateway=8.8.8.8 routing-table=isp1 scope=30 target-scope=11
