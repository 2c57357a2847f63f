/ip firewall mangle
add action=mark-connection chain=prerouting comment=“from a blog, with blanks” new-connection-mark=”WAN1″ in-interface=lan
add action=mark-routing chain=prerouting connection-mark=WAN1 new-routing-mark=isp1
add chain=prerouting connection-mark=WAN1 action=mark-routing new-routing-mark=isp1 comment=�lost in saving�
add chain=prerouting action=accept comment=Conex�o protocol=udp
