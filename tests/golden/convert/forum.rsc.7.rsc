# To be run by RouterOS 7.21; made by evenflow.
# Made from forum.rsc; only its routing, without addresses, PPP clients and other menus.
#
# FastTrack skips marks. If there is such a rule, it must leave marked connections alone:
#   /ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark

# What an earlier run has made goes; nothing else is touched.
/ip firewall mangle remove [find comment~"^evenflow"]
/ipv6 firewall mangle remove [find comment~"^evenflow"]
/ip firewall nat remove [find comment~"^evenflow"]
/ipv6 firewall nat remove [find comment~"^evenflow"]
/ip dhcp-client remove [find comment~"^evenflow"]
/ip route remove [find comment~"^evenflow"]
/ipv6 route remove [find comment~"^evenflow"]
/routing rule remove [find comment~"^evenflow"]
/routing table remove [find comment~"^evenflow"]
/ip firewall address-list remove [find comment~"^evenflow"]
/ipv6 firewall address-list remove [find comment~"^evenflow"]
/interface list member remove [find comment~"^evenflow"]
/interface list remove [find comment~"^evenflow"]

# Routing tables
/routing table
add fib name=to_WAN1 comment=evenflow
add fib name=to_WAN2 comment=evenflow

# Routes
/ip route
add dst-address=8.8.8.8/32 gateway=10.111.0.1 distance=1 scope=10 comment=evenflow
add dst-address=8.8.4.4/32 gateway=10.112.0.1 distance=1 scope=10 comment=evenflow
add dst-address=0.0.0.0/0 gateway=8.8.8.8 routing-table=to_WAN1 distance=1 check-gateway=ping target-scope=30 comment=evenflow
add dst-address=0.0.0.0/0 gateway=8.8.4.4 routing-table=to_WAN2 distance=1 check-gateway=ping target-scope=30 comment=evenflow
add dst-address=0.0.0.0/0 gateway=8.8.8.8 distance=1 check-gateway=ping target-scope=30 comment=evenflow
add dst-address=0.0.0.0/0 gateway=8.8.4.4 distance=2 check-gateway=ping target-scope=30 comment=evenflow
add dst-address=172.16.5.0/24 gateway=192.168.88.2 distance=1 comment=evenflow
add blackhole dst-address=10.99.0.0/16 distance=1 comment=evenflow

# Route rules
/routing rule
add action=lookup-only-in-table dst-address=0.0.0.0/0 routing-mark=to_WAN1 table=to_WAN1 comment=evenflow

# Marks
/ip firewall mangle
add chain=prerouting action=accept dst-address=192.168.88.0/24 in-interface=bridge comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=WAN1_conn passthrough=yes in-interface=ether1 connection-mark=no-mark comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=WAN2_conn passthrough=yes in-interface=ether2 connection-mark=no-mark comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=WAN1_conn passthrough=yes in-interface=bridge connection-mark=no-mark dst-address-type=!local per-connection-classifier=both-addresses:2/0 comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=WAN2_conn passthrough=yes in-interface=bridge connection-mark=no-mark dst-address-type=!local per-connection-classifier=both-addresses:2/1 comment=evenflow
add chain=prerouting action=mark-routing new-routing-mark=to_WAN1 passthrough=yes in-interface=bridge connection-mark=WAN1_conn comment=evenflow
add chain=prerouting action=mark-routing new-routing-mark=to_WAN2 passthrough=yes in-interface=bridge connection-mark=WAN2_conn comment=evenflow
add chain=output action=mark-routing new-routing-mark=to_WAN1 passthrough=yes connection-mark=WAN1_conn comment=evenflow
add chain=output action=mark-routing new-routing-mark=to_WAN2 passthrough=yes connection-mark=WAN2_conn comment=evenflow
add action=change-mss chain=forward new-mss=1440 protocol=tcp tcp-flags=syn passthrough=yes comment=evenflow

# NAT
/ip firewall nat
add chain=srcnat action=masquerade out-interface=ether1 comment=evenflow
add chain=srcnat action=masquerade out-interface=ether2 comment=evenflow
add chain=dstnat action=dst-nat to-addresses=192.168.88.10 in-interface=ether1 protocol=tcp dst-port=80 comment=evenflow
