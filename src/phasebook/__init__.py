"""Phase boundaries in diffusion models: the code behind the book.

Five rooms and a door. `theory` (heat flow, Brenier maps, power cells) stands alone;
`latent` may use `models`, `models` may use `diffusion`; `site` (claims, figures, runner)
imports no other room and is used by notebooks and by `cli`, the door.
"""

import os

# Threads of a matrix product that wait for one another should sleep, not spin: on a machine with anything else to do,
# spinning slows a sweep threefold. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
