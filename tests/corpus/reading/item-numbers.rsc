/ip firewall mangle
add chain=prerouting action=accept comment=zero
add chain=prerouting action=accept comment=one
add chain=prerouting action=accept comment=two
set 0 action=passthrough
set 1,2 dst-address=10.0.0.0/8
disable 1
set numbers=2 comment=last
remove 0
