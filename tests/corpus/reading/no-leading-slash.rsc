ip firewall mangle
add chain=prerouting action=accept dst-address=10.0.0.0/8
ip route add gateway=192.0.2.1
interface bridge add name=lan
