/ip route
add gateway=192.0.2.1
add dst-address=0.0.0.0/0 gateway=198.51.100.1 distance=2 check-gateway=ping comment=second
add gateway=pppoe-out1 distance=3 check-gateway=arp
add gateway=192.0.2.1%ether1 distance=4 check-gateway=bfd
add gateway=192.0.2.1@main distance=5 routing-table=isp1
add dst-address=10.8.0.0/16 gateway=10.1.0.254 pref-src=10.1.0.1
add dst-address=10.9.0.0/16 blackhole
add dst-address=10.10.0.0/16 blackhole=yes
add dst-address=10.11.0.0/16 type=blackhole
add dst-address=10.12.0.0/16 type=unreachable
add dst-address=10.13.0.0/16 type=prohibit
add dst-address=10.14.5.6/16 gateway=10.1.0.254
add disabled=yes gateway=203.0.113.1
add gateway=10.1.0.1 vrf-interface=ether9
add distance=1
add gateway=1.2.3.4.5
add gateway=192.0.2.1 distance=300
