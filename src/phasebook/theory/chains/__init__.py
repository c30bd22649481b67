"""Chains of Brenier maps, on the torus, the circle and the plane."""
