:local gw 192.0.2.1
:if (true) do={ :local gw 198.51.100.1 }
/ip route add gateway=$gw distance=1
:if (true) do={ :set gw 203.0.113.1 }
/ip route add gateway=$gw distance=2
