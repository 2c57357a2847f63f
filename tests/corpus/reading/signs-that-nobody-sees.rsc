# of a page​, copied
/ip firewall mangle
add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp1​
​add action=acc­ept chain=prerouting comment="می‌خواهم" protocol=udp
/ip route
add gateway=203.0.113.1 routing-mark=isp1﻿
