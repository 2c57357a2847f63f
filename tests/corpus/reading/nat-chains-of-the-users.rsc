/ip firewall nat
add action=jump chain=dstnat in-interface=ether1 jump-target=forwards
add action=dst-nat chain=forwards dst-port=80 protocol=tcp to-addresses=10.0.0.2
add action=return chain=forwards src-address-list=blocked
add action=dst-nat chain=forwards dst-port=22 protocol=tcp to-addresses=10.0.0.3
add action=return chain=forwards
add action=dst-nat chain=forwards to-addresses=10.0.0.9
add action=masquerade chain=srcnat out-interface=ether1
add action=masquerade chain=scrnat out-interface=ether2
add action=jump chain=srcnat jump-target=missing
