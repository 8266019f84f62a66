"""Many texts: read, counted, drawn, measured shard by shard, resumed."""
