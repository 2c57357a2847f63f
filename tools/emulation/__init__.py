"""What `tools/emulator` is made of: what it fetches, what the guest begins with, and a run."""
