/ip dhcp-client
add interface=ether1 add-default-route=no script=follow
add interface=ether2 add-default-route=no script="/system script run follow-too"
add interface=ether3 add-default-route=no script="/system script run not-in-this-file"
/system script
add name=follow source=":if (\$bound=1) do={ /ip route set [find comment=isp1] gateway=\$\"gateway-address\" }"
add name=follow-too source="/ip route set [find comment=isp2] gateway=\$\"gateway-address\""
add name=nobody-runs source="/ip route disable [find comment=isp1]"
/ip route
add comment=isp1 gateway=100.64.1.1
add comment=isp2 gateway=100.64.2.1 distance=2
