{
  :local gw "192.0.2.1"
  :local table ("to_" . "isp1")
  /routing table add name=$table fib
  /ip route add gateway=$gw routing-table=$table
}
