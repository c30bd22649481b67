"""Power cells and mixtures of them: semi-discrete transport, tears and singular sets."""
