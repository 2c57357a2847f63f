/ip route rule
add src-address=10.0.1.0/24 table=isp1
add action=lookup-only-in-table dst-address=10.0.0.0/8 table=main
add action=drop interface=ether9 routing-mark=isp2
add action=unreachable dst-address=203.0.113.0/24
add disabled=yes src-address=10.0.2.0/24 table=isp2
add interface=ether5 routing-mark=isp1 table=isp1
