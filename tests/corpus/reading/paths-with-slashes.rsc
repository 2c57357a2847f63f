/ip/firewall/mangle
add chain=prerouting action=mark-routing new-routing-mark=isp1 in-interface=lan
/ip/route/add gateway=192.0.2.1 routing-table=isp1
/routing/table/add name=isp1 fib
/ip/firewall/nat add chain=srcnat action=masquerade out-interface=ether1
