/ip route
add comment="Línea 1 – fibra" gateway=192.0.2.1
add comment="conexión €" gateway=198.51.100.1 distance=2
set [find comment="conexión €"] distance=9
