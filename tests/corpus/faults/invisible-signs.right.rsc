# not told: invisible-signs
# shares: isp1 1/2, isp2 1/2
/interface bridge
add name=bridge1
/ip address
add address=192.168.88.1/24 interface=bridge1
add address=203.0.113.2/30 interface=ether1
add address=198.51.100.2/30 interface=ether2
/routing table
add fib name=isp1
add fib name=isp2
/ip firewall mangle
add action=accept chain=prerouting dst-address=203.0.113.0/30 in-interface=bridge1
add action=accept chain=prerouting dst-address=198.51.100.0/30 in-interface=bridge1
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new in-interface=ether1 new-connection-mark=isp1_conn
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new in-interface=ether2 new-connection-mark=isp2_conn
add action=mark-routing chain=output connection-mark=isp1_conn new-routing-mark=isp1 passthrough=no
add action=mark-routing chain=output connection-mark=isp2_conn new-routing-mark=isp2 passthrough=no
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new dst-address-type=!local in-interface=bridge1 new-connection-mark=isp1_conn per-connection-classifier=both-addresses:2/0
add action=mark-connection chain=prerouting connection-mark=no-mark connection-state=new dst-address-type=!local in-interface=bridge1 new-connection-mark=isp2_conn per-connection-classifier=both-addresses:2/1
add action=mark-routing chain=prerouting connection-mark=isp1_conn in-interface=bridge1 new-routing-mark=isp1
add action=mark-routing chain=prerouting connection-mark=isp2_conn in-interface=bridge1 new-routing-mark=isp2
/ip firewall nat
add action=masquerade chain=srcnat comment="to isp1" out-interface=ether1
add action=masquerade chain=srcnat out-interface=ether2
/ip route
add check-gateway=ping distance=1 dst-address=0.0.0.0/0 gateway=203.0.113.1 routing-table=isp1
add check-gateway=ping distance=2 dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=isp1
add check-gateway=ping distance=1 dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=isp2
add check-gateway=ping distance=2 dst-address=0.0.0.0/0 gateway=203.0.113.1 routing-table=isp2
add check-gateway=ping distance=1 dst-address=0.0.0.0/0 gateway=203.0.113.1 routing-table=main
add check-gateway=ping distance=2 dst-address=0.0.0.0/0 gateway=198.51.100.1 routing-table=main
