"""Transition paths between the wells of an energy, by geodesics of denoising distributions."""
