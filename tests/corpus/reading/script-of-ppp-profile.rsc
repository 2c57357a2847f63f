/ppp profile
add name=first on-up="/ip route remove [find comment=first]\r\
    \n:local name [/interface get \$interface name]\r\
    \n/ip route add gateway=\$name routing-table=isp1 comment=first"
add name=second on-up="/ip route set [find comment=second] gateway=\$\"remote-address\""
/interface pppoe-client
add interface=ether1 name=pppoe-out1 profile=first
add interface=ether2 name=pppoe-out2 profile=second
/ip route
add comment=second gateway=192.0.2.1 routing-table=isp2
/routing table
add fib name=isp1
add fib name=isp2
