# mar/05/2020 10:11:12 by RouterOS 6.46.4
# software id = AAAA-BBBB
#
/ip route
# the first provider
add gateway=192.0.2.1 # trailing
  # indented
add gateway=198.51.100.1 comment="not # a comment" distance=2
#add gateway=203.0.113.1
