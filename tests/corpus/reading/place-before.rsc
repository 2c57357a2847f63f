/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=c1 comment=first
add chain=prerouting action=mark-connection new-connection-mark=c2 comment=second
add chain=prerouting action=accept dst-address=10.0.0.0/8 comment=bypass place-before=0
add chain=prerouting action=accept dst-address=172.16.0.0/12 comment=bypass2 place-before=[find comment=second]
add chain=prerouting action=passthrough place-before=99
