# To be run by RouterOS 7.21; made by evenflow.
# Made from seed.rsc; only its routing, without addresses, PPP clients and other menus.
#
# FastTrack skips marks. If there is such a rule, it must leave marked connections alone:
#   /ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark
# The script makes the DHCP client of ether1. One that is there must be handed over before:
#   /ip dhcp-client set [find interface=ether1] comment=evenflow

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
add fib name=isp1 comment=evenflow
add fib name=isp2 comment=evenflow

# DHCP clients, which make the routes by their gateways
/ip dhcp-client
add interface=ether1 add-default-route=yes default-route-tables=isp1:1,main:1,isp2:2 check-gateway=ping use-peer-dns=no disabled=no comment="evenflow: by DHCP of ether1"

# Routes
/ip route
add dst-address=0.0.0.0/0 gateway=pppoe-out1 routing-table=isp1 distance=2 check-gateway=ping comment=evenflow
add dst-address=0.0.0.0/0 gateway=pppoe-out1 routing-table=isp2 distance=1 check-gateway=ping comment=evenflow
add dst-address=0.0.0.0/0 gateway=pppoe-out1 distance=2 check-gateway=ping comment=evenflow

# Marks
/ip firewall mangle
add chain=prerouting action=mark-connection new-connection-mark=isp1_conn passthrough=yes connection-mark=no-mark connection-state=new in-interface=ether1 comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=isp2_conn passthrough=yes connection-mark=no-mark connection-state=new in-interface=pppoe-out1 comment=evenflow
add chain=output action=mark-routing new-routing-mark=isp2 passthrough=yes connection-mark=isp2_conn comment=evenflow
add chain=output action=mark-routing new-routing-mark=isp1 passthrough=yes connection-mark=isp1_conn comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=isp1_conn passthrough=yes connection-mark=no-mark connection-state=new dst-address-type=!local in-interface=USER_01 per-connection-classifier=both-addresses-and-ports:3/0 comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=isp2_conn passthrough=yes connection-mark=no-mark connection-state=new dst-address-type=!local in-interface=USER_01 per-connection-classifier=both-addresses-and-ports:3/2 comment=evenflow
add chain=prerouting action=mark-connection new-connection-mark=isp1_conn passthrough=yes connection-mark=no-mark connection-state=new dst-address-type=!local in-interface=USER_01 per-connection-classifier=both-addresses-and-ports:3/1 comment=evenflow
add chain=prerouting action=mark-routing new-routing-mark=isp1 passthrough=yes connection-mark=isp1_conn in-interface=USER_01 comment=evenflow
add chain=prerouting action=mark-routing new-routing-mark=isp2 passthrough=yes connection-mark=isp2_conn in-interface=USER_01 comment=evenflow

# NAT
/ip firewall nat
add chain=srcnat action=masquerade out-interface=ether1 comment=evenflow
add chain=srcnat action=masquerade out-interface=pppoe-out1 comment=evenflow
