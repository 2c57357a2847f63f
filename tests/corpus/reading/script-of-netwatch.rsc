/ip route
add comment=isp1 gateway=192.0.2.1 distance=1
add comment=isp2 gateway=198.51.100.1 distance=2
add dst-address=9.9.9.9/32 gateway=192.0.2.1 scope=10
/tool netwatch
add host=9.9.9.9 interval=10s down-script="/ip route disable [find comment=\"isp1\"]" up-script="/ip route enable [find comment=\"isp1\"]"
add host=1.1.1.1 down-script="/log warning \"gone\"" up-script=""
