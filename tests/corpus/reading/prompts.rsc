[admin@MikroTik] > /ip firewall mangle
[admin@MikroTik] /ip firewall mangle> add chain=prerouting action=accept dst-address=10.0.0.0/8
[admin@MikroTik] /ip firewall mangle> ..
[admin@MikroTik] /ip firewall> /ip route add gateway=192.0.2.1
[admin@office-1.2] /ip/route> add gateway=198.51.100.1 distance=2
