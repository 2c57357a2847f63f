# jan/02/2020 10:00:00 by RouterOS 6.48.6
ip firewall mangle
add chain=prerouting dst-address=192.168.88.0/24 action=accept in-interface=bridge
add action=mark-connection chain=prerouting in-interface=ether1 new-connection-mark=WAN1_conn connection-mark=no-mark
add action=mark-connection chain=prerouting in-interface=ether2 new-connection-mark=WAN2_conn connection-mark=no-mark
add chain=prerouting in-interface=bridge connection-mark=no-mark dst-address-type=!local action=mark-connection \
    new-connection-mark=WAN1_conn per-connection-classifier=both-addresses:2/0
add chain=prerouting in-interface=bridge connection-mark=no-mark dst-address-type=!local action=mark-connection \
    new-connection-mark=WAN2_conn per-connection-classifier=both-addresses:2/1
add action=mark-routing chain=prerouting in-interface=bridge connection-mark=WAN1_conn new-routing-mark=to_WAN1
add action=mark-routing chain=prerouting in-interface=bridge connection-mark=WAN2_conn new-routing-mark=to_WAN2
add action=mark-routing chain=output connection-mark=WAN1_conn new-routing-mark=to_WAN1
add action=mark-routing chain=output connection-mark=WAN2_conn new-routing-mark=to_WAN2
add action=change-mss chain=forward new-mss=1440 protocol=tcp tcp-flags=syn passthrough=yes
add action=mark-packet chain=forward new-packet-mark=voip protocol=udp dst-port=5060 disabled=yes
/ip address
add address=10.111.0.2/24 interface=ether1
add address=10.112.0.2/24 interface=ether2
add address=192.168.88.1/24 interface=bridge
/ip firewall nat
add chain=srcnat out-interface=ether1 action=masquerade
add chain=srcnat out-interface=ether2 action=masquerade
add chain=dstnat in-interface=ether1 protocol=tcp dst-port=80 action=dst-nat to-addresses=192.168.88.10
/ip route
add dst-address=8.8.8.8 gateway=10.111.0.1 scope=10
add dst-address=8.8.4.4 gateway=10.112.0.1 scope=10
add gateway=8.8.8.8 routing-mark=to_WAN1 check-gateway=ping target-scope=30
add gateway=8.8.4.4 routing-mark=to_WAN2 check-gateway=ping target-scope=30
add gateway=8.8.8.8 distance=1 check-gateway=ping target-scope=30
add gateway=8.8.4.4 distance=2 check-gateway=ping target-scope=30
add dst-address=172.16.5.0/24 gateway=192.168.88.2
add dst-address=10.99.0.0/16 type=unreachable
/ip route rule
add routing-mark=to_WAN1 action=lookup-only-in-table table=to_WAN1
