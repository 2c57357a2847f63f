/ip firewall nat
add action=jump chain=srcnat jump-target=pool out-interface=ether1
add action=src-nat chain=pool nth=2,1 to-addresses=192.0.2.2
add action=src-nat chain=pool to-addresses=192.0.2.3
add action=jump chain=dstnat dst-port=80 in-interface=ether1 jump-target=servers protocol=tcp
add action=jump chain=dstnat dst-port=443 in-interface=ether1 jump-target=servers protocol=tcp
add action=dst-nat chain=servers nth=2,1 to-addresses=10.0.0.2
add action=dst-nat chain=servers random=50 to-addresses=10.0.0.3
add action=jump chain=srcnat jump-target=pool nth=2,2 out-interface=ether2
