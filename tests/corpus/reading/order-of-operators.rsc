:local i 1
/ip route
add gateway=("192.0.2." . $i) distance=(1 + 2 * 3)
add gateway=198.51.100.1 distance=("1" . $i + 1)
