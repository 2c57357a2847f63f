/ip firewall mangle
add action=mark-connection chain=prerouting connection-state=new in-interface=lan \
    new-connection-mark=c1 passthrough=yes per-connection-classifier=\
    both-addresses-and-ports:3/0
add action=mark-connection chain=prerouting connection-state=new in-interface=lan \
    new-connection-mark=c2 passthrough=yes per-connection-classifier=\
both-addresses-and-ports:3/1
add action=mark-connection chain=prerouting connection-state=new in-interface=lan new-connection-mark=\
    c3 passthrough=yes per-connection-classifier=both-addresses-and-ports:3/2
