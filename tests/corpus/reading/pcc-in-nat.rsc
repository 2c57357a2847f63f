/ip firewall nat
add action=src-nat chain=srcnat out-interface=ether1 per-connection-classifier=src-address:2/0 to-addresses=192.0.2.2
add action=src-nat chain=srcnat out-interface=ether1 per-connection-classifier=src-address:2/1 to-addresses=192.0.2.3
add action=src-nat chain=srcnat nth=2,1 out-interface=ether2 to-addresses=198.51.100.2
