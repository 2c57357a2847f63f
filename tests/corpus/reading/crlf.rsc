/ip firewall mangle
add chain=prerouting action=mark-connection \
    new-connection-mark=c1
/ip route
add gateway=192.0.2.1
