/ip firewall address-list
add address=10.0.0.0/8 list=private
add address=192.168.1.5 list=private comment=printer
add address=172.16.0.1-172.16.0.9 list=private disabled=no
add address=172.31.0.0/16 disabled=yes list=private
add address=video.example list=video
add address=203.0.113.7 list=banned timeout=1d
/ipv6 firewall address-list
add address=2001:db8::/48 list=private
