"""Models and what they stand on: the exact denoiser, functions of one's own, pipelines, image towers, pictures."""
