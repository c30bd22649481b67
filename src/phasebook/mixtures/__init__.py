"""Exact mixtures of Gaussians and atoms: their diffusion, modes, flow and spacetime in closed form."""
