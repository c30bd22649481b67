"""Noise schedules, exact mixtures, samplers, modes, spacetime geometry. Knows nothing of pipelines."""
