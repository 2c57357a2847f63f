/ip firewall mangle
add action=mark-conection chain=prerouting new-connection-mark=c1
add action=route chain=prerouting route-dst=192.0.2.1
/ip firewall nat
add action=masqerade chain=srcnat
add action=endpoint-independent-nat chain=srcnat
