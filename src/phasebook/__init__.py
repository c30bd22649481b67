"""Phase boundaries in diffusion models: the library behind the book."""
