"""diffusers pipelines as models: what of a directory is read, what differs between kinds, and what is the same."""
