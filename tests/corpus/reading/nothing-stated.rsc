# 2024-01-01 by RouterOS 7.1

