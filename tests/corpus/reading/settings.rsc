/ip settings
set rp-filter=loose tcp-syncookies=yes
/routing settings
set check-gateway-ping-interval=2s check-gateway-ping-count=3 check-gateway-ping-timeout=500ms
/ip route
add gateway=192.0.2.1 check-gateway=ping
/ip firewall connection tracking
set enabled=yes udp-timeout=10s
