/ip firewall mangle
add action=mark-connection chain=prerouting new-connection-mark=a per-connection-classifier=both-addresses:2/2
add action=mark-connection chain=prerouting new-connection-mark=b per-connection-classifier=both-addresses:0/0
add action=mark-connection chain=prerouting new-connection-mark=c per-connection-classifier=both-adresses:2/1
add action=mark-connection chain=prerouting new-connection-mark=d per-connection-classifier=both-addresses:2
