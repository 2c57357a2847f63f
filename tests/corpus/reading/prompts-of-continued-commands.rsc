[admin@MikroTik] /ip firewall mangle> add chain=prerouting in-interface=lan \
\... action=mark-routing new-routing-mark=isp1
[admin@MikroTik] /ip firewall mangle> /ip route add gateway=\
... 203.0.113.1 \
...     routing-mark=isp1 comment="to be \
    continued"
