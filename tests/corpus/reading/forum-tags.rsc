# [b]mangle[/b] comes first, see <b>step 1</b></p>
[code]/ip firewall mangle
add action=mark-routing chain=prerouting comment="the [code] of the LAN" in-interface=lan new-routing-mark=isp1[/code]
[quote="somebody"][Code=rsc]
/ip route
add gateway=203.0.113.1 routing-mark=isp1[/code][/quote]
set [ find comment=none ] distance=2
