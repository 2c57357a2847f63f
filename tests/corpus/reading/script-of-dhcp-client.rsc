/ip dhcp-client
add add-default-route=no disabled=no interface=ether1 script=":if (\$bound=1) do={\r\
    \n  /ip route set [ find comment=\"isp1\" ] gateway=\$\"gateway-address\" disabled=no\r\
    \n} else={\r\
    \n  /ip route set [ find comment=\"isp1\" ] disabled=yes\r\
    \n}" use-peer-dns=no
add add-default-route=no interface=ether2 script="{\r\
    \n  :local count [/ip route print count-only where comment=\"isp2\"]\r\
    \n  :if (\$bound=1) do={\r\
    \n    :if (\$count = 0) do={ /ip route add gateway=\$\"gateway-address\" comment=\"isp2\" routing-mark=isp2 }\r\
    \n  } else={ /ip route remove [find comment=\"isp2\"] }\r\
    \n}"
/ip route
add comment=isp1 gateway=192.0.2.1 routing-table=isp1
/routing table
add fib name=isp1
add fib name=isp2
