/routing table
add name=isp1 fib
add name=isp2 fib=yes
add fib="" name=isp3
add disabled=yes fib name=isp4
add name=isp5
add name=isp6 fib=no
add fib name=main
