/ip firewall mangle
add action=mark-connection chain=prerouting new-connection-mark=c1 passthrough=no
add action=mark-packet chain=forward new-packet-mark=p1
add action=mark-routing chain=output new-routing-mark=isp1
add action=jump chain=prerouting jump-target=mine in-interface=lan
add action=return chain=mine dst-address=10.0.0.0/8
add action=mark-connection chain=mine new-connection-mark=c2
add action=log chain=prerouting log-prefix="seen: "
add action=passthrough chain=prerouting
add chain=prerouting
add action=change-mss chain=forward new-mss=clamp-to-pmtu passthrough=yes protocol=tcp tcp-flags=syn
add action=add-src-to-address-list address-list=seen address-list-timeout=1h chain=prerouting
add action=change-ttl chain=postrouting new-ttl=set:64 passthrough=no
add action=mark-routing chain=prerouting new-connection-mark=isp1
