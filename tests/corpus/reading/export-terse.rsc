/interface bridge add name=lan
/ip address add address=10.1.0.1/24 interface=lan network=10.1.0.0
/ip firewall address-list add address=10.0.0.0/8 list=private
/ip firewall mangle add action=accept chain=prerouting dst-address-list=private
/ip firewall mangle add action=mark-connection chain=prerouting in-interface=lan new-connection-mark=c1 passthrough=yes per-connection-classifier=both-addresses:2/0
/ip firewall nat add action=masquerade chain=srcnat out-interface=ether1
/ip route add distance=1 gateway=192.0.2.1
/system identity set name=r
