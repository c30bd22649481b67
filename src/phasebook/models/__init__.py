"""Image sets and models: the exact denoiser of a finite image set, pipelines, features."""
