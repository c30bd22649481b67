"""Training of the shipped models: `phasebook train autoencoder | clip | diffusion`."""
