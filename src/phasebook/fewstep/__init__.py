"""Few steps: the leak that a Lipschitz constant forces, layers with and without jumps, students of the exact flow."""
