/ip firewall mangle
add chain=prerouting action=accept comment=&quot;local&quot; dst-address=10.0.0.0/8
add chain=prerouting action=accept
