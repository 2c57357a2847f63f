:local wan "ether1"
:global gw 192.0.2.1
:local pcc both-addresses
/ip route
add gateway=$gw distance=1
add gateway="$gw%$wan" distance=2
/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=("conn_" . $wan) in-interface=lan per-connection-classifier=($pcc . ":2/0")
add chain=prerouting action=mark-connection new-connection-mark="conn_$wan" in-interface=lan per-connection-classifier="$pcc:2/1"
add chain=prerouting action=accept in-interface=$nowhere
