add action=mark-connection chain=prerouting in-interface=lan
connection-state=new new-connection-mark=WAN1
add action=mark-routing chain=prerouting connection-mark=WAN1 new-routing-mark=isp1
