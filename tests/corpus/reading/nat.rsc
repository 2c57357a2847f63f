/ip firewall nat
add action=masquerade chain=srcnat out-interface=ether1
add action=masquerade chain=srcnat out-interface-list=WAN to-ports=1024-65535
add action=src-nat chain=srcnat out-interface=ether2 to-addresses=198.51.100.2
add action=src-nat chain=srcnat src-address=10.0.0.0/24 to-addresses=198.51.100.8-198.51.100.15
add action=dst-nat chain=dstnat dst-port=443 in-interface=ether1 protocol=tcp to-addresses=10.0.0.10 to-ports=8443
add action=dst-nat chain=dstnat dst-address=198.51.100.2 to-addresses=10.0.0.11
add action=redirect chain=dstnat dst-port=53 protocol=udp to-ports=53
add action=accept chain=srcnat dst-address=10.8.0.0/16
add action=log chain=srcnat
add action=same chain=srcnat to-addresses=198.51.100.2
add action=netmap chain=dstnat dst-address=198.51.100.3 to-addresses=10.0.0.3
add action=netmap chain=dstnat dst-address=198.51.100.0/24 to-addresses=10.0.0.0/24
add action=same chain=srcnat to-addresses=198.51.100.2-198.51.100.5
