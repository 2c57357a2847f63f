"""What a packet costs, beside the kernel's own multipath and the rivals: `python -m bench.dataplane`."""
