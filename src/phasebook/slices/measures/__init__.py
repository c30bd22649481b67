"""What is read off a slice: ridges and phases, basins and partitions, split steps, statistics of several slices."""
