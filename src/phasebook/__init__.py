"""Phase boundaries in diffusion models: the code behind the book.

Five rooms and a door. `theory` (heat flow, Brenier maps, power cells) stands alone;
`latent` may use `models`, `models` may use `diffusion`; `site` (claims, figures, runner)
imports no other room and is used by notebooks and by `cli`, the door.
"""

import os

# Threads of a matrix product that wait for one another should spin for a moment, then sleep: spinning on slows a sweep
# threefold on a machine with anything else to do, sleeping at once slows a small network by a third. OpenMP reads this
# when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("GOMP_SPINCOUNT", "100000")
