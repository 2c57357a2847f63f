<pre>/ip firewall mangle
add action=mark-connection chain=prerouting comment="a <b> in a comment" in-interface=lan new-connection-mark=WAN1
<code>add action=mark-routing chain=prerouting connection-mark=WAN1 new-routing-mark=isp1</code></pre>
<p>
/ip route
add gateway=203.0.113.1 routing-mark=isp1<br />
