Hi all, here is my config, what is wrong with it?

[code]
/ip firewall mangle
add chain=prerouting in-interface=lan action=mark-connection new-connection-mark=c1 passthrough=yes
add chain=prerouting connection-mark=c1 action=mark-routing new-routing-mark=isp1
[/code]

And the routes are these:
/ip route
add gateway=192.0.2.1 routing-mark=isp1
Thanks in advance!
-- 
Regards
