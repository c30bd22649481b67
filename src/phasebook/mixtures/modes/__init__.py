"""Modes of noised mixtures and the trees they form."""
