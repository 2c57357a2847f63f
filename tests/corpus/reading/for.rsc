:local count 4
:for i from=1 to=$count do={
  :local remainder ($i - 1)
  /ip firewall mangle add action=mark-connection chain=prerouting in-interface=lan new-connection-mark="wan$i" \
    per-connection-classifier="both-addresses:$count/$remainder"
}
:for i from=3 to=1 step=-2 do={ /ip route add gateway=("192.0.2." . $i) distance=$i }
