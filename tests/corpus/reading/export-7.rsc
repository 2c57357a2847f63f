# 2024-03-01 12:00:00 by RouterOS 7.14
# software id = ABCD-1234
#
# model = RB750Gr3
/interface bridge
add name=bridge1
/interface ethernet
set [ find default-name=ether1 ] name=ether1-wan1
set [ find default-name=ether2 ] comment=second name=ether2-wan2
/interface list
add comment=defconf name=WAN
add comment=defconf name=LAN
/interface wireless security-profiles
set [ find default=yes ] supplicant-identity=MikroTik
/ip pool
add name=dhcp ranges=192.168.88.10-192.168.88.254
/ip dhcp-server
add address-pool=dhcp interface=bridge1 name=defconf
/routing table
add disabled=no fib name=to_wan1
add disabled=no fib name=to_wan2
/interface bridge port
add bridge=bridge1 interface=ether3
/interface list member
add interface=bridge1 list=LAN
add interface=ether1-wan1 list=WAN
add interface=ether2-wan2 list=WAN
/ip address
add address=192.168.88.1/24 interface=bridge1 network=192.168.88.0
add address=192.0.2.2/30 interface=ether1-wan1 network=192.0.2.0
add address=198.51.100.2/30 interface=ether2-wan2 network=198.51.100.0
/ip dhcp-server network
add address=192.168.88.0/24 gateway=192.168.88.1
/ip dns
set servers=9.9.9.9
/ip firewall filter
add action=accept chain=input connection-state=established,related,untracked
/ip firewall mangle
add action=accept chain=prerouting dst-address=192.0.2.0/30 in-interface-list=LAN
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new dst-address-type=!local in-interface-list=LAN new-connection-mark=c1 passthrough=yes per-connection-classifier=both-addresses:3/0
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new dst-address-type=!local in-interface-list=LAN new-connection-mark=c1 passthrough=yes per-connection-classifier=both-addresses:3/1
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new dst-address-type=!local in-interface-list=LAN new-connection-mark=c2 passthrough=yes per-connection-classifier=both-addresses:3/2
add action=mark-routing chain=prerouting connection-mark=c1 in-interface-list=LAN new-routing-mark=to_wan1 passthrough=no
add action=mark-routing chain=prerouting connection-mark=c2 in-interface-list=LAN new-routing-mark=to_wan2 passthrough=no
/ip firewall nat
add action=masquerade chain=srcnat comment="defconf: masquerade" ipsec-policy=out,none out-interface-list=WAN
/ip route
add check-gateway=ping disabled=no distance=1 dst-address=0.0.0.0/0 gateway=192.0.2.1 pref-src="" routing-table=to_wan1 scope=30 suppress-hw-offload=no target-scope=10
add check-gateway=ping disabled=no distance=1 dst-address=0.0.0.0/0 gateway=198.51.100.1 pref-src="" routing-table=to_wan2 scope=30 suppress-hw-offload=no target-scope=10
add distance=1 gateway=192.0.2.1
add distance=2 gateway=198.51.100.1
/system clock
set time-zone-name=Europe/Madrid
/system identity
set name=border
