/ip route
add disabled=no distance=1 dst-address=0.0.0.0/0 gateway=192.0.2.1 routing-table=isp1 vrf-interface=ether1
/routing table
add fib name=isp1
