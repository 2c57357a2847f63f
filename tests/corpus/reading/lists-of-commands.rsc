The steps are:
1) /ip firewall mangle
- add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp1
2) /ip route is where the routes come
* /ip route add gateway=203.0.113.1 routing-mark=isp1
• ip route add gateway=203.0.113.1 distance=2
- that is all, with action=accept for the rest
