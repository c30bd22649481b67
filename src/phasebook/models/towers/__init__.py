"""Image towers as features: of open_clip, of transformers."""
