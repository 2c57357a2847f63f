> /ip firewall mangle
> add chain=prerouting action=mark-connection new-connection-mark=c1
> > add chain=prerouting action=accept
> and this is what he wrote
