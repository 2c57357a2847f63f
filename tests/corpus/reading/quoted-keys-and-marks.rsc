/ip firewall mangle
add chain="prerouting" action="mark-connection" new-connection-mark="wan1" connection-mark="no-mark" connection-state="new" in-interface="ether 1" passthrough="yes" per-connection-classifier="both-addresses:2/0"
add chain=prerouting action=mark-routing connection-mark="wan1" new-routing-mark="wan1"
