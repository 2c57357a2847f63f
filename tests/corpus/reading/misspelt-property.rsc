/ip firewall mangle
add chain=prerouting action=mark-connection new-conection-mark=c1
add chain=prerouting action=mark-connection new-connection-mark=c1 in-interfce=lan
