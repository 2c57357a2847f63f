"""The only room with sockets and programs: it reads the kernel and carries out plans."""
