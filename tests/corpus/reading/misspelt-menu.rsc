/ip firewall mangel
add chain=prerouting action=accept
/ip route
add gateway=192.0.2.1
