"""Few steps: the leak that a Lipschitz constant forces, layers with and without jumps, and students of the exact flow."""
