/ip dhcp-client
add disabled=no interface=ether1
add add-default-route=no disabled=no interface=ether2
add default-route-distance=3 disabled=no interface=ether3 use-peer-dns=no
add default-route-tables=main:4,isp4 interface=ether4 check-gateway=ping
add disabled=yes interface=ether5
add add-default-route=special-classless dhcp-options=hostname,clientid interface=ether6
set [find interface=ether1] default-route-distance=9
/ipv6 dhcp-client
add add-default-route=yes interface=ether1 request=prefix pool-name=p
/interface bridge port
add bridge=bridge1 interface=ether7
/ip dhcp-client
add interface=ether7
