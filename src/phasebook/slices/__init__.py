"""Planes of latents and their sweeps: metric, geodesics, what to compute and where; `measures` reads them."""
