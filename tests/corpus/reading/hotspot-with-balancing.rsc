/ip firewall mangle
add action=accept chain=prerouting dst-address=10.5.50.0/24 in-interface=hotspot
add action=mark-connection chain=prerouting dst-address-type=!local hotspot=auth in-interface=hotspot new-connection-mark=c1 passthrough=yes per-connection-classifier=both-addresses:2/0
add action=mark-connection chain=prerouting dst-address-type=!local hotspot=auth in-interface=hotspot new-connection-mark=c2 passthrough=yes per-connection-classifier=both-addresses:2/1
add action=mark-routing chain=prerouting connection-mark=c1 in-interface=hotspot new-routing-mark=isp1 passthrough=yes
add action=mark-routing chain=prerouting connection-mark=c2 in-interface=hotspot new-routing-mark=isp2 passthrough=yes
/ip hotspot
add disabled=no interface=hotspot name=hs
/ip firewall nat
add action=passthrough chain=unused-hs-chain comment="place hotspot rules here" disabled=yes
add action=masquerade chain=srcnat out-interface=ether1
add action=masquerade chain=srcnat src-address=10.5.50.0/24
/ip route
add gateway=192.0.2.1 routing-mark=isp1
add gateway=198.51.100.1 routing-mark=isp2
