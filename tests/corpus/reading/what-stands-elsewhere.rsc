/import flash/balance.rsc
/system script run failover
:execute "/ip route add gateway=192.0.2.9"
/ip route add gateway=192.0.2.1
$helper 1
