/ip firewall nat
add action=jump chain=dstnat jump-target=a
add action=jump chain=a jump-target=b
add action=jump chain=b jump-target=a
add action=masquerade chain=srcnat out-interface=ether1
