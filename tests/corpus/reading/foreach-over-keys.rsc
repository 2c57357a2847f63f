:local gateways {isp1="192.0.2.1"; isp2="198.51.100.1"}
:foreach name,gw in=$gateways do={
    /routing table add fib name=$name
    /ip route add gateway=$gw routing-table=$name check-gateway=ping
}
/ip route add gateway=($gateways->"isp2") distance=5
