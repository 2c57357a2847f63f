:local i 0
:while ($i < 5) do={ /ip route add gateway=192.0.2.1 }
/ip route add gateway=198.51.100.1
