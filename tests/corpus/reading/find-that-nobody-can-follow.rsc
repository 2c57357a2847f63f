/ip route
add gateway=192.0.2.1 comment=a
set [find active=yes] distance=9
set [find comment~"(a|b)+"] distance=9
remove [find distance>1]
