/interface
set ether1 name=WAN
set [ find name=ether5 ] name=LAN
disable wlan1
set bridge1 comment="not in this file"
/ip address
add address=203.0.113.2/30 interface=WAN
add address=192.168.1.1/24 interface=LAN
