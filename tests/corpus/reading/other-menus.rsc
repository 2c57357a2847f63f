/system identity set name=r1
/queue simple add name=q target=10.0.0.0/24 max-limit=10M/10M
/ip dns static add name=a.example address=10.0.0.9
/interface wifi configuration add name=c ssid="my net" security.passphrase=secret
/ip service set telnet disabled=yes
/ip route add gateway=192.0.2.1
/tool mac-server set allowed-interface-list=LAN
/user group set full policy="local,telnet,ssh"
