"""CommitPack: from the commits that GitHub publishes to a sharded, licensed data set of file changes."""
