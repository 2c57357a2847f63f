Step 1: mark the connections

/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=c1 in-interface=lan

Now we use the mark, so that each packet gets its routing mark.
Note that passthrough=yes is needed here!

add chain=prerouting connection-mark=c1 action=mark-routing new-routing-mark=isp1

Step 2: add the routes
/ip route
add gateway=192.0.2.1 routing-mark=isp1
