"""Phase boundaries in diffusion models: the code behind the book.

Five rooms and a door. `theory` (heat flow, Brenier maps, power cells) stands alone;
`latent` may use `models`, `models` may use `diffusion`; `site` (claims, figures, runner)
imports no other room and is used by notebooks and by `cli`, the door.
"""
