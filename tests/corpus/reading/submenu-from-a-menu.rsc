/ip firewall
nat
add chain=srcnat action=masquerade out-interface=ether1
.. mangle
add chain=prerouting action=accept dst-address-type=local
/ip
route add gateway=192.0.2.1
firewall address-list add list=local address=10.0.0.0/8
