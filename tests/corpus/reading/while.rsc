:local n 0
:while ($n < 2) do={
  /routing table add fib name=("t" . $n)
  :set n ($n + 1)
}
:do { /ip route add gateway=192.0.2.1 routing-table=t0 } on-error={ :log error "no route" }
