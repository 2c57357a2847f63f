/routing rule
add action=lookup comment="guests" disabled=no src-address=10.2.0.0/24 table=isp2
add action=lookup-only-in-table disabled=no interface=lan min-prefix=0 table=main
add action=lookup disabled=no dst-address=2001:db8::/32 table=isp1
add action=lookup-only-in-table routing-mark=isp1 table=isp1
add action=jump table=isp1
