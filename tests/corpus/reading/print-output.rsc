/ip firewall mangle print
Flags: X - disabled, I - invalid, D - dynamic
 0    ;;; marks
      chain=prerouting action=mark-connection new-connection-mark=c1
 1    chain=prerouting action=mark-routing new-routing-mark=isp1
/ip route
add gateway=192.0.2.1
