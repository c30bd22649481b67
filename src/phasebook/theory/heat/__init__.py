"""Heat flow against Brenier maps: Gaussians, the line, the torus."""
