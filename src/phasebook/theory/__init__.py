"""Heat flow, Brenier maps, their composition, power cells. float64; knows nothing of images."""
