*mangle
:PREROUTING ACCEPT [0:0]
-A PREROUTING -i eth1 -j CONNMARK --restore-mark
COMMIT
