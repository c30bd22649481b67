"""Pictures: sets of them in families, what they are called, small changes of them."""
