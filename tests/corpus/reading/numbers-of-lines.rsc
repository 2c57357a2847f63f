  1 /ip firewall mangle
  2 add action=mark-routing chain=prerouting in-interface=lan new-routing-mark=isp1
  3 # the routes
  4 /ip route
  5 add gateway=203.0.113.1 routing-mark=isp1
