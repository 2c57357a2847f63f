:if ([/system resource get version] ~ "^7") do={
  /ip route add gateway=192.0.2.1
} else={
  /ip route add gateway=198.51.100.1
}
:if ([/interface get ether1 running]) do={ :put "up" }
/ip route add gateway=203.0.113.1
