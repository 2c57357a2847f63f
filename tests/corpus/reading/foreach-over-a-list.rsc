:foreach i in={0;1;2} do={
  /ip firewall mangle add chain=prerouting in-interface=lan connection-mark=no-mark action=mark-connection new-connection-mark=("c" . $i) per-connection-classifier=("src-address:3/" . $i)
  /ip firewall mangle add chain=prerouting connection-mark="c$i" action=mark-routing new-routing-mark="r$i"
}
:foreach if in=("ether1","ether2") do={ /ip firewall nat add chain=srcnat action=masquerade out-interface=$if }
