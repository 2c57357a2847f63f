/routing ospf instance add name=default router-id=10.0.0.1
/routing ospf interface-template add area=backbone networks=10.0.0.0/8
/routing bgp connection add name=a as=65000 remote.address=10.0.0.2
/ip vrf add interfaces=ether5 name=mgmt
/ip firewall raw add action=notrack chain=prerouting
/ip route add gateway=192.0.2.1
