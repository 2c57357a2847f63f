/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=c1 in-interface=lan comment=a
add copy-from=0 new-connection-mark=c2 comment=b
add copy-from=[find comment=b] in-interface=lan2
