/ip route
add gateway=192.0.2.1 \  
    distance=5 \	
	check-gateway=ping
