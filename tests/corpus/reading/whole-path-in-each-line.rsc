/ip firewall mangle add chain=prerouting in-interface=lan action=mark-connection new-connection-mark=c1 passthrough=yes
/ip firewall mangle add chain=prerouting connection-mark=c1 action=mark-routing new-routing-mark=isp1 passthrough=no
/ip route add dst-address=0.0.0.0/0 gateway=192.0.2.1 routing-mark=isp1 check-gateway=ping
/ip route add dst-address=0.0.0.0/0 gateway=192.0.2.1 distance=1
/ip firewall nat add chain=srcnat out-interface=ether1 action=masquerade
