"""Tests on Debian's stock kernel, emulated: for what the kernel at hand may lack. See docs/design/emulation.md."""
