"""Planes of latents, swept and measured: metric, ridges, phases, geodesics."""
