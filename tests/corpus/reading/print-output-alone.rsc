/ip address
add address=203.0.113.2/30 interface=wan
 0   ;;; to the Internet
     chain=srcnat action=masquerade out-interface=wan log=no log-prefix=""
 1 X chain=dstnat action=accept in-interface=wan
