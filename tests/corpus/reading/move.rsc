/ip route rule
add src-address=10.0.1.0/24 table=a
add src-address=10.0.2.0/24 table=b
add src-address=10.0.3.0/24 table=c
move 2 0
move [find table=a] destination=0
