/ip firewall mangle
add action=accept chain=prerouting src-address=10.0.0.0/24 dst-address=!192.0.2.1
add action=accept chain=prerouting src-address=10.0.0.5-10.0.0.9 protocol=tcp dst-port=80,443,8000-8100
add action=accept chain=prerouting protocol=udp src-port=!53
add action=accept chain=prerouting protocol=tcp port=22
add action=accept chain=prerouting src-address-list=vip dst-address-list=!private
add action=accept chain=prerouting dst-address-type=!local src-address-type=unicast
add action=accept chain=prerouting in-interface=!lan connection-state=new,related
add action=accept chain=prerouting in-interface-list=!WAN connection-state=!established
add action=accept chain=prerouting src-mac-address=02:00:00:AA:BB:CC routing-mark=isp1 packet-mark=no-mark
add action=accept chain=postrouting out-interface=ether1 out-interface-list=WAN
add action=accept chain=prerouting protocol=47
add action=accept chain=prerouting protocol=!icmp connection-mark=!c1
add action=accept chain=prerouting in-interface=all-ppp
/interface pppoe-client
add name=pppoe-out1 interface=ether1
