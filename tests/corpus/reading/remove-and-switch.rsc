/ip route
add gateway=192.0.2.1 comment=a
add gateway=198.51.100.1 comment=b disabled=yes
add gateway=203.0.113.1 comment=c distance=3
disable [find comment=a]
enable [find comment=b]
remove [find comment=c]
/ip firewall mangle
add chain=prerouting action=accept disabled=yes
add chain=prerouting action=accept disabled=no
remove [find]
