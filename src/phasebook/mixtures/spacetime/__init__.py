"""The geometry of denoising distributions: energies, geodesics, closed forms."""
