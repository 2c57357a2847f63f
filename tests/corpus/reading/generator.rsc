# set these, then import
:local numWan 2
:local lan "bridge1"
:local gws ("192.0.2.1","198.51.100.1")
:for i from=0 to=($numWan - 1) do={
  :local n ($i + 1)
  :local mark ("WAN" . $n)
  /routing table add name=("to_" . $mark) fib
  /ip firewall mangle add chain=prerouting in-interface=$lan dst-address-type=!local connection-mark=no-mark \
     per-connection-classifier=("both-addresses-and-ports:" . $numWan . "/" . $i) action=mark-connection new-connection-mark=($mark . "_conn") passthrough=yes comment="PCC $n of $numWan"
  /ip firewall mangle add chain=prerouting connection-mark=($mark . "_conn") in-interface=$lan action=mark-routing new-routing-mark=("to_" . $mark)
  /ip route add gateway=[:pick $gws $i] routing-table=("to_" . $mark) check-gateway=ping
  /ip route add gateway=($gws->$i) distance=$n
}
