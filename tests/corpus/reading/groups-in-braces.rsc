{
/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=c1
add chain=prerouting action=mark-routing connection-mark=c1 new-routing-mark=isp1
}
/ip route
{
  /routing table add fib name=isp1
  add gateway=192.0.2.1 routing-table=isp1
}
add gateway=192.0.2.1
