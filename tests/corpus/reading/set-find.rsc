/interface ethernet
set [ find default-name=ether1 ] name=WAN1
set [find default-name=ether2] name=WAN2 disabled=no
set [ find default-name=sfp-sfpplus1 ] name=core
/ip route
add comment="provider 1" gateway=192.0.2.1
add comment="provider 2" gateway=198.51.100.1
set [find comment="provider 2"] distance=2
set [find where comment~"^provider" and distance=2] check-gateway=ping
set [find gateway=192.0.2.1 || gateway=203.0.113.1] distance=4
set [/ip route find comment="provider 1"] scope=10
set [find comment="provider 3"] distance=9
