"""What routers of the tests call their marks, tables and chains: also longer than the kernel takes, and in Cyrillic."""

from __future__ import annotations

CONNECTION_MARKS = ["isp1_conn", "связь-через-первого-провайдера-номер-один", "a mark", "vpn/1", "x" * 100]
TABLES = ["isp1", "isp2", "таблица маршрутов второго провайдера, " * 4]
USER_CHAINS = ["first", "цепочка для балансировки нагрузки по каналам", "third"]
