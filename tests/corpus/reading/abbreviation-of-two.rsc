/ip firewall mangle
add chain=prerouting action=mark-connection new=c1
add chain=prerouting action=accept
