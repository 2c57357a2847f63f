/ip firewall mangle
add action=mark-connection chain=prerouting new-connection-mark=c0 per-connection-classifier=src-address:4/0
add action=mark-connection chain=prerouting new-connection-mark=c1 per-connection-classifier=dst-address:4/1
add action=mark-connection chain=prerouting new-connection-mark=c2 per-connection-classifier=both-addresses:4/2
add action=mark-connection chain=prerouting new-connection-mark=c3 per-connection-classifier=src-port:4/3
add action=mark-connection chain=prerouting new-connection-mark=c4 per-connection-classifier=dst-port:4/0
add action=mark-connection chain=prerouting new-connection-mark=c5 per-connection-classifier=both-ports:4/1
add action=mark-connection chain=prerouting new-connection-mark=c6 per-connection-classifier=src-address-and-port:4/2
add action=mark-connection chain=prerouting new-connection-mark=c7 per-connection-classifier=dst-address-and-port:4/3
add action=mark-connection chain=prerouting new-connection-mark=c8 per-connection-classifier=both-addresses-and-ports:4/0
add action=mark-connection chain=prerouting new-connection-mark=not per-connection-classifier=!both-addresses:4/3
