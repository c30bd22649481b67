"""Figures of the book, from builders that take arrays."""
