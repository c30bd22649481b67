"""Slices of latent space, the pullback metric, basins, hierarchy, editing."""
