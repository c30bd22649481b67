"""Samplers, and the protocols by which models and features meet them."""
