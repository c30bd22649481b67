"""Big slices on disk: the store, who computes its tiles, what it will cost."""
