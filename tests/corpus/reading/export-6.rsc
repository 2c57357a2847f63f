# jan/02/1970 00:00:00 by RouterOS 6.48.6
# software id =
#
/interface pppoe-client
add disabled=no interface=ether1 name=pppoe-out1 password=x use-peer-dns=yes user=a
add disabled=no interface=ether2 name=pppoe-out2 password=x user=b
/ip address
add address=10.9.0.1/24 interface=ether3 network=10.9.0.0
/ip firewall mangle
add action=mark-connection chain=prerouting in-interface=ether3 new-connection-mark=c1 passthrough=yes per-connection-classifier=src-address:2/0
add action=mark-connection chain=prerouting in-interface=ether3 new-connection-mark=c2 passthrough=yes per-connection-classifier=src-address:2/1
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=ether3 new-routing-mark=r1 passthrough=yes
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=ether3 new-routing-mark=r2 passthrough=yes
/ip firewall nat
add action=masquerade chain=srcnat out-interface=pppoe-out1
add action=masquerade chain=srcnat out-interface=pppoe-out2
/ip route
add check-gateway=ping distance=1 gateway=pppoe-out1 routing-mark=r1
add check-gateway=ping distance=1 gateway=pppoe-out2 routing-mark=r2
add distance=1 gateway=pppoe-out1
add distance=2 gateway=pppoe-out2
/ip route rule
add action=lookup-only-in-table dst-address=10.9.0.0/24 table=main
