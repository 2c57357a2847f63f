/ip address
add address=192.0.2.2/30 interface=ether1
add address=198.51.100.2/30 interface=ether2
/ip route
add dst-address=8.8.8.8 gateway=192.0.2.1 scope=10
add dst-address=1.1.1.1 gateway=198.51.100.1 scope=10
add check-gateway=ping distance=1 gateway=8.8.8.8 routing-mark=isp1 target-scope=30
add check-gateway=ping distance=2 gateway=1.1.1.1 routing-mark=isp1 target-scope=30
add check-gateway=ping distance=1 gateway=8.8.8.8 target-scope=30
