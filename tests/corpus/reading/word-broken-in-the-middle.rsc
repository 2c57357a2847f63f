/ip firewall mangle
add action=mark-connection chain=prerou\
    ting new-connection-mark=conn_of_\
    wan1 per-connection-classifier=both-addresses-and-\
    ports:2/1
