# To be run by RouterOS 6.49; made by evenflow.
# Made from seed.toml.
#
# Shares of new connections, of 3 streams: isp1 66.67 % (weight 2), isp2 33.33 % (weight 1).
# No share is further than 0 % of all connections from its weight; 1 % is allowed.
# Uplink isp1 is asked at 1.1.1.1.
# Uplink isp2 is asked at 8.8.8.8.
#
# FastTrack skips marks. If there is such a rule, it must leave marked connections alone:
#   /ip firewall filter set [find action=fasttrack-connection] connection-mark=no-mark

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
/interface list member
add list=evenflow-uplinks interface=ether1 comment=evenflow
add list=evenflow-uplinks interface=pppoe-out1 comment=evenflow
/ip firewall address-list
add list=evenflow-local address=10.0.0.0/8 comment=evenflow
add list=evenflow-local address=172.16.0.0/12 comment=evenflow
add list=evenflow-local address=192.168.0.0/16 comment=evenflow
add list=evenflow-local address=169.254.0.0/16 comment=evenflow
add list=evenflow-local address=224.0.0.0/4 comment=evenflow

# Routes
/ip route
add dst-address=1.1.1.1/32 gateway=100.64.1.1%ether1 distance=1 scope=10 comment="evenflow: isp1"
add dst-address=8.8.8.8/32 gateway=pppoe-out1 distance=1 scope=10 comment="evenflow: isp2"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 routing-mark=isp1 distance=1 check-gateway=ping target-scope=11 comment="evenflow: isp1"
add dst-address=0.0.0.0/0 gateway=8.8.8.8 routing-mark=isp1 distance=2 check-gateway=ping target-scope=11 comment="evenflow: isp2"
add dst-address=0.0.0.0/0 gateway=8.8.8.8 routing-mark=isp2 distance=1 check-gateway=ping target-scope=11 comment="evenflow: isp2"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 routing-mark=isp2 distance=2 check-gateway=ping target-scope=11 comment="evenflow: isp1"
add dst-address=0.0.0.0/0 gateway=1.1.1.1 distance=101 check-gateway=ping target-scope=11 comment="evenflow: isp1"
add dst-address=0.0.0.0/0 gateway=8.8.8.8 distance=102 check-gateway=ping target-scope=11 comment="evenflow: isp2"

# Route rules
/ip route rule
add action=unreachable dst-address=0.0.0.0/0 routing-mark=isp1 comment="evenflow: no uplink is left for isp1"
add action=unreachable dst-address=0.0.0.0/0 routing-mark=isp2 comment="evenflow: no uplink is left for isp2"

# Marks
/ip firewall mangle
add chain=prerouting action=accept in-interface-list=!evenflow-uplinks dst-address-list=evenflow-local comment="evenflow: to networks of our own: by main"
add chain=output action=accept dst-address-list=evenflow-local comment="evenflow: to networks of our own: by main"
add chain=prerouting action=mark-connection new-connection-mark=isp1 passthrough=yes in-interface=ether1 connection-mark=no-mark connection-state=new comment="evenflow: connections that come in by isp1"
add chain=prerouting action=mark-connection new-connection-mark=isp2 passthrough=yes in-interface=pppoe-out1 connection-mark=no-mark connection-state=new comment="evenflow: connections that come in by isp2"
add chain=prerouting action=mark-connection new-connection-mark=isp1 passthrough=yes in-interface=USER_01 connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses-and-ports:3/0 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-connection new-connection-mark=isp1 passthrough=yes in-interface=USER_01 connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses-and-ports:3/1 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-connection new-connection-mark=isp2 passthrough=yes in-interface=USER_01 connection-mark=no-mark connection-state=new dst-address-type=!local per-connection-classifier=both-addresses-and-ports:3/2 comment="evenflow: new connections of the LAN"
add chain=prerouting action=mark-routing new-routing-mark=isp1 passthrough=no connection-mark=isp1 in-interface-list=!evenflow-uplinks comment="evenflow: by isp1"
add chain=prerouting action=mark-routing new-routing-mark=isp2 passthrough=no connection-mark=isp2 in-interface-list=!evenflow-uplinks comment="evenflow: by isp2"
add chain=output action=mark-routing new-routing-mark=isp1 passthrough=no connection-mark=isp1 comment="evenflow: by isp1"
add chain=output action=mark-routing new-routing-mark=isp2 passthrough=no connection-mark=isp2 comment="evenflow: by isp2"

# NAT
/ip firewall nat
add chain=srcnat action=masquerade out-interface=ether1 comment="evenflow: isp1"
add chain=srcnat action=masquerade out-interface=pppoe-out1 comment="evenflow: isp2"
