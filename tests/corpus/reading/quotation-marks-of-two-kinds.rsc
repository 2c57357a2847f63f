/ip firewall mangle
add action=mark-connection chain=prerouting comment=”" in-interface=lan new-connection-mark=“WAN1"
add action=mark-routing chain=prerouting comment="” connection-mark="WAN1" new-routing-mark="isp1”
add action=accept chain=prerouting comment="a cable of 5” and more" protocol=udp
