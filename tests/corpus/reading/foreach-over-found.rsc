/ip route
add gateway=192.0.2.1 comment=a
add gateway=198.51.100.1 comment=b
:foreach r in=[find] do={ set $r check-gateway=ping }
:foreach r in=[/ip route find comment=b] do={
  :if ([/ip route get $r comment] = "b") do={ /ip route set $r distance=2 }
}
