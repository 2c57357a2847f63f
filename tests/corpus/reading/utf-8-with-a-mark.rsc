/ip route
add comment=провайдер gateway=192.0.2.1
