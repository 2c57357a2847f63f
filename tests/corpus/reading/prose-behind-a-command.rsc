/routing table add name=isp1 fibNow the marks of the LAN
/ip/firewall/nat add action=masquerade chain=srcnat add action=accept chain=dstnat
/ip route add gateway=203.0.113.1 routing-table=isp1
