/ip firewall mangle
add chain=prerouting action=accept in-interface=lan comment=a
unset 0 in-interface
comment 0 b
edit 0 comment
reset-counters-all
print
frobnicate 0
add chain=prerouting action=passthrough
comment 1 "the last"
comment [find comment="the last"] comment=renamed
set [find comment=renamed] action=accept dst-address=10.0.0.1
