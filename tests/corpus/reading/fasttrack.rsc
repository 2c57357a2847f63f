/ip firewall filter
add action=fasttrack-connection chain=forward connection-state=established,related hw-offload=yes
add action=accept chain=forward connection-state=established,related
/ip firewall mangle
add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=c1
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=lan new-routing-mark=isp1
