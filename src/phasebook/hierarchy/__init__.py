"""What is measured of trees: split times, boundaries, likeness to an ultrametric."""
