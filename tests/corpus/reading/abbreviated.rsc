/ip fi man
a ch=prerouting act=mark-connection new-conn=c1 pass=yes in-interface=lan
/ip ro
a gat=192.0.2.1 dst=0.0.0.0/0 dist=3 check=ping
/int bri add name=lan
/ip addr add address=10.1.0.1/24 int=lan
