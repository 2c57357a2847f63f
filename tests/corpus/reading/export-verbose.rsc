# 2023-01-01 00:00:00 by RouterOS 7.8
/ip firewall mangle
add action=mark-connection chain=prerouting !connection-bytes !connection-limit connection-mark=no-mark !connection-nat-state !connection-rate !connection-state !connection-type !content disabled=no !dscp !dst-address !dst-address-list dst-address-type=!local !dst-limit !dst-port !fragment !hotspot !icmp-options !in-bridge-port !in-bridge-port-list in-interface=lan !in-interface-list !ingress-priority !ipsec-policy !ipv4-options !jump-target !layer7-protocol !limit log=no log-prefix="" new-connection-mark=c1 !nth !out-bridge-port !out-interface !p2p !packet-mark !packet-size passthrough=yes per-connection-classifier=both-addresses:2/0 !port !priority !protocol !psd !random !routing-mark !routing-table !src-address !src-address-list !src-address-type !src-mac-address !src-port !tcp-flags !tcp-mss !time !tls-host !ttl
/routing table
add !comment disabled=no fib name=isp1
/ip route
add !check-gateway !comment disabled=no distance=1 dst-address=0.0.0.0/0 gateway=192.0.2.1 pref-src="" routing-table=isp1 scope=30 suppress-hw-offload=no target-scope=10 !vrf-interface
