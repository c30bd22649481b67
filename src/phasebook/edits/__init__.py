"""Edits by partial inversion, of any model: which pairs, who judges, how many steps are needed, what foretells it."""
