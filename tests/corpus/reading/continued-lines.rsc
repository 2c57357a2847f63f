/ip firewall mangle
add action=mark-connection chain=prerouting \
    comment="first half" connection-mark=no-mark \
    in-interface=lan new-connection-mark=c1 \
    passthrough=yes
add action=mark-routing chain=prerouting comment="a comment that the export \
    broke in the middle" connection-mark=c1 \
  new-routing-mark=isp1
