# To be run by RouterOS 6.49; made by evenflow.
# Made from office.toml.
#
# Shares of new connections, of 4 streams: fibre 75 % (weight 60), leased 25 % (weight 19).
# No share is further than 0.95 % of all connections from its weight; 1 % is allowed.
# Uplink fibre is asked at its gateway.
# Uplink leased is asked at 192.0.2.53.
# Uplink lte is asked at 1.1.1.1.
#
# FastTrack skips marks. If there is such a rule, it must leave marked connections alone:
#   /ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark
# The script makes the DHCP client of ether1. One that is there must be handed over before:
#   /ip dhcp-client set [find interface=ether1] comment=evenflow

# What an earlier run has made goes; nothing else is touched.
/ip firewall mangle remove [find comment~"^evenflow"]
/ip firewall nat remove [find comment~"^evenflow"]
/ip dhcp-client remove [find comment~"^evenflow"]
/ip route remove [find comment~"^evenflow"]
/ip route rule remove [find comment~"^evenflow"]
/ip firewall address-list remove [find comment~"^evenflow"]
/interface list member remove [find comment~"^evenflow"]
/interface list remove [find comment~"^evenflow"]

# Lists
/interface list
add name=evenflow-uplinks comment=evenflow
add name=evenflow-lan comment=evenflow
/interface list member
add list=evenflow-uplinks interface=ether1 comment=evenflow
add list=evenflow-uplinks interface=ether2 comment=evenflow
add list=evenflow-uplinks interface=lte1 comment=evenflow
add list=evenflow-lan interface=bridge-guests comment=evenflow
add list=evenflow-lan interface=bridge-lan comment=evenflow
/ip firewall address-list
add list=evenflow-local address=10.0.0.0/8 comment=evenflow
add list=evenflow-local address=172.16.0.0/12 comment=evenflow
add list=evenflow-local address=192.168.0.0/16 comment=evenflow
add list=evenflow-local address=169.254.0.0/16 comment=evenflow
add list=evenflow-local address=224.0.0.0/4 comment=evenflow

# DHCP clients, which make the routes by their gateways
/ip dhcp-client
add interface=ether1 add-default-route=no script="/ip route remove [find comment=\"evenflow: by DHCP of ether1\"]\n:if (\$bound=1) do={\n/ip route add dst-address=0.0.0.0/0 gateway=\$\"gateway-address\" routing-mark=fibre distance=1 check-gateway=ping comment=\"evenflow: by DHCP of ether1\"\n/ip route add dst-address=0.0.0.0/0 gateway=\$\"gateway-address\" routing-mark=leased distance=2 check-gateway=ping comment=\"evenflow: by DHCP of ether1\"\n/ip route add dst-address=0.0.0.0/0 gateway=\$\"gateway-address\" routing-mark=lte distance=2 check-gateway=ping comment=\"evenflow: by DHCP of ether1\"\n/ip route add dst-address=0.0.0.0/0 gateway=\$\"gateway-address\" distance=101 check-gateway=ping comment=\"evenflow: by DHCP of ether1\"\n}" disabled=no comment="evenflow: by DHCP of ether1"

# Routes
/ip route
add dst-address=192.0.2.53/32 gateway=203.0.113.1%ether2 distance=1 scope=10 comment="evenflow: leased"
add dst-address=1.1.1.1/32 gateway=lte1 distance=1 scope=10 comment="evenflow: lte"
add dst-address=0.0.0.0/0 gateway=192.0.2.53 routing-mark=fibre distance=2 check-gateway=ping target-scope=11 comment="evenflow: leased"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 routing-mark=fibre distance=3 check-gateway=ping target-scope=11 comment="evenflow: lte"
add dst-address=0.0.0.0/0 gateway=192.0.2.53 routing-mark=leased distance=1 check-gateway=ping target-scope=11 comment="evenflow: leased"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 routing-mark=leased distance=3 check-gateway=ping target-scope=11 comment="evenflow: lte"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 routing-mark=lte distance=1 check-gateway=ping target-scope=11 comment="evenflow: lte"
add dst-address=0.0.0.0/0 gateway=192.0.2.53 routing-mark=lte distance=3 check-gateway=ping target-scope=11 comment="evenflow: leased"
add dst-address=0.0.0.0/0 gateway=192.0.2.53 distance=102 check-gateway=ping target-scope=11 comment="evenflow: leased"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 distance=103 check-gateway=ping target-scope=11 comment="evenflow: lte"

# Route rules
/ip route rule
add action=unreachable dst-address=0.0.0.0/0 routing-mark=fibre comment="evenflow: no uplink is left for fibre"
add action=unreachable dst-address=0.0.0.0/0 routing-mark=leased comment="evenflow: no uplink is left for leased"
add action=unreachable dst-address=0.0.0.0/0 routing-mark=lte comment="evenflow: no uplink is left for lte"

# Marks
/ip firewall mangle
add chain=prerouting action=accept in-interface-list=!evenflow-uplinks dst-address-list=evenflow-local comment="evenflow: to networks of our own: by main"
add chain=output action=accept dst-address-list=evenflow-local comment="evenflow: to networks of our own: by main"
add chain=prerouting action=mark-connection new-connection-mark=fibre passthrough=yes in-interface=ether1 connection-mark=no-mark connection-state=new comment="evenflow: connections that come in by fibre"
add chain=prerouting action=mark-connection new-connection-mark=leased passthrough=yes in-interface=ether2 connection-mark=no-mark connection-state=new comment="evenflow: connections that come in by leased"
add chain=prerouting action=mark-connection new-connection-mark=lte passthrough=yes in-interface=lte1 connection-mark=no-mark connection-state=new comment="evenflow: connections that come in by lte"
add chain=prerouting action=mark-connection new-connection-mark=fibre passthrough=yes in-interface-list=evenflow-lan connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses:4/0 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-connection new-connection-mark=fibre passthrough=yes in-interface-list=evenflow-lan connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses:4/1 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-connection new-connection-mark=fibre passthrough=yes in-interface-list=evenflow-lan connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses:4/2 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-connection new-connection-mark=leased passthrough=yes in-interface-list=evenflow-lan connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses:4/3 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-routing new-routing-mark=fibre passthrough=no connection-mark=fibre in-interface-list=!evenflow-uplinks comment="evenflow: by fibre"
add chain=prerouting action=mark-routing new-routing-mark=leased passthrough=no connection-mark=leased in-interface-list=!evenflow-uplinks comment="evenflow: by leased"
add chain=prerouting action=mark-routing new-routing-mark=lte passthrough=no connection-mark=lte in-interface-list=!evenflow-uplinks comment="evenflow: by lte"
add chain=output action=mark-routing new-routing-mark=fibre passthrough=no connection-mark=fibre comment="evenflow: by fibre"
add chain=output action=mark-routing new-routing-mark=leased passthrough=no connection-mark=leased comment="evenflow: by leased"
add chain=output action=mark-routing new-routing-mark=lte passthrough=no connection-mark=lte comment="evenflow: by lte"

# NAT
/ip firewall nat
add chain=srcnat action=masquerade out-interface=ether1 comment="evenflow: fibre"
add chain=srcnat action=masquerade out-interface=ether2 comment="evenflow: leased"
add chain=srcnat action=masquerade out-interface=lte1 comment="evenflow: lte"
