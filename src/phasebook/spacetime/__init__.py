"""Spacetime of any model: expectations of its posteriors by tangents, lengths with their errors, geodesics."""
