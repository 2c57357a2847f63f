/ip firewall mangle
add action=mark-connection chain=prerouting in-interface=lan
new-connection-mark=c1 passthrough=yes per-connection-classifier=
both-addresses:2/0
add action=mark-connection chain=prerouting in-interface=lan
    new-connection-mark=c2 per-connection-classifier=both-addresses:2/1
