/system scheduler
add interval=1m name=watch on-event="/ip route set [find comment=a] distance=10" start-time=startup
/system script
add name=night source="/ip firewall mangle disable [find comment=b]"
add name=harmless source=":log info \"hello\""
/ip route
add comment=a gateway=192.0.2.1
