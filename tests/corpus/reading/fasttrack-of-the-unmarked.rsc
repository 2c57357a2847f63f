/ip firewall filter
add action=fasttrack-connection chain=forward connection-mark=no-mark connection-state=established,related
/ip firewall mangle
add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=c1
