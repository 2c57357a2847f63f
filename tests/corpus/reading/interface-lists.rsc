/interface list
add name=WAN
add name=LAN
add include=WAN,LAN name=ALL
add exclude=LAN include=ALL name=REST
/interface list member
add interface=ether1 list=WAN
add interface=ether2 list=WAN disabled=yes
add interface=bridge1 list=LAN
add interface=ether9 list=GUESTS
