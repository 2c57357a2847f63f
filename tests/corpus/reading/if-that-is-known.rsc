:local two true
:if ($two = true) do={
  /ip route add gateway=192.0.2.1 comment=two
} else={
  /ip route add gateway=198.51.100.1 comment=one
}
:if ([:len [/ip route find comment="two"]] = 0) do={ /ip route add gateway=203.0.113.1 }
:if ([:len [/ip route find comment="three"]] = 0) do={ /ip route add gateway=203.0.113.3 distance=3 comment=three }
