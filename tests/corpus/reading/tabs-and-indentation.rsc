	/ip firewall mangle
		add	chain=prerouting	action=accept	
   add chain=prerouting    action=passthrough   
