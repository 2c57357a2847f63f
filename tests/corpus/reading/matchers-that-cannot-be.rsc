/ip firewall mangle
add action=mark-connection chain=prerouting new-connection-mark=c1 fragment=yes
add action=mark-connection chain=prerouting new-connection-mark=c2 icmp-options=8:0
add action=mark-connection chain=prerouting new-connection-mark=c3 hotspot=auth
add action=mark-connection chain=prerouting new-connection-mark=c4 layer7-protocol=video
add action=mark-connection chain=prerouting new-connection-mark=c5 protocol=tcp tls-host=*.example.com
add action=mark-connection chain=prerouting new-connection-mark=c6 content=GET
add action=mark-connection chain=prerouting new-connection-mark=c7 protocol=tcp connection-limit=100,32
add action=mark-connection chain=prerouting new-connection-mark=c8 dst-limit=10,5,dst-address/1m40s
add action=mark-connection chain=prerouting new-connection-mark=c9 limit=10,5:packet
add action=mark-connection chain=prerouting new-connection-mark=c10 connection-bytes=500000-0
add action=mark-connection chain=prerouting new-connection-mark=c11 connection-rate=0-100k
add action=mark-connection chain=prerouting new-connection-mark=c12 time=8h-17h,mon,tue,wed,thu,fri
add action=mark-connection chain=prerouting new-connection-mark=c13 protocol=tcp tcp-flags=syn
add action=mark-connection chain=prerouting new-connection-mark=c14 dscp=46
add action=mark-connection chain=prerouting new-connection-mark=c15 packet-size=0-128
add action=mark-connection chain=prerouting new-connection-mark=c16 connection-nat-state=dstnat
add action=mark-connection chain=prerouting new-connection-mark=c17 connection-type=sip
add action=mark-connection chain=prerouting new-connection-mark=c18 in-bridge-port=ether5
add action=mark-connection chain=prerouting new-connection-mark=c19 psd=21,3s,3,1 protocol=tcp
add action=mark-connection chain=prerouting new-connection-mark=c20 ttl=equal:64
add action=mark-connection chain=prerouting new-connection-mark=c21 p2p=all-p2p
add action=mark-connection chain=prerouting new-connection-mark=c22 ipsec-policy=in,ipsec
add action=mark-connection chain=prerouting new-connection-mark=c23
