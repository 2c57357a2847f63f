/interface bridge
add name=bridge1
/interface bridge port
add bridge=bridge1 interface=ether3
add bridge=bridge1 disabled=yes interface=ether4
/interface vlan
add interface=bridge1 name=vlan10 vlan-id=10
/interface ethernet
set 0 bandwidth=100M/20M name=fibre
set ether2 comment=dsl
/interface lte
set [ find ] name=lte1
/interface pppoe-client
add add-default-route=yes default-route-distance=5 interface=ether2
/interface l2tp-client
add connect-to=203.0.113.9 name=tunnel user=x
/interface wireguard
add listen-port=13231 name=wg0
/ip address
add address=10.1.0.1 netmask=255.255.255.0 interface=bridge1
add address=10.2.0.1/24 interface=vlan10 disabled=yes
/ipv6 address
add address=2001:db8::1/64 interface=bridge1
add from-pool=isp interface=vlan10
