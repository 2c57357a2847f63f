/ip firewall mangle
add action=mark-connection chain=prerouting comment="says \"hello\", costs 5\$, ends\\" new-connection-mark="WAN 1"
add action=mark-connection chain=prerouting comment="line\r\nline\ttab\_blank \41\42 caf\C3\A9 \E9t\E9" connection-mark=!"WAN 1" new-connection-mark=c2
add action=mark-routing chain=prerouting comment="; # } ] not the end" connection-mark="!WAN 1" new-routing-mark="to ISP"
add action=accept chain=prerouting comment=""
