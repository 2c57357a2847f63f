:global stream do={
  /ip firewall mangle add chain=prerouting in-interface=lan action=mark-connection new-connection-mark=$mark per-connection-classifier=("both-addresses:" . $of . "/" . $no)
}
$stream mark=c1 of=2 no=0
$stream mark=c2 of=2 no=1
$elsewhere mark=c3
