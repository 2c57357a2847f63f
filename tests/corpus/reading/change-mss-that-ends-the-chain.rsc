/ip firewall mangle
add action=change-mss chain=forward new-mss=clamp-to-pmtu passthrough=no protocol=tcp tcp-flags=syn
add action=change-mss chain=postrouting new-mss=1440 passthrough=no protocol=tcp tcp-flags=syn tcp-mss=1441-65535
add action=mark-packet chain=postrouting new-packet-mark=rest
