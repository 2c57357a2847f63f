/ip route; add gateway=192.0.2.1 distance=1; add gateway=198.51.100.1 distance=2;
/ip firewall mangle; add chain=prerouting action=accept; /ip route add gateway=203.0.113.1 distance=3
