"""Phase boundaries in diffusion models: the code behind the book.

Five rooms and a door. `theory` (heat flow, Brenier maps, power cells) stands alone;
`latent` may use `models`, `models` may use `diffusion`; `site` (claims, figures, runner)
imports no other room and is used by notebooks and by `cli`, the door.
"""

import ctypes
import os
import sys

# Threads of a matrix product that wait for one another should sleep, not spin: on a machine with anything else to do,
# spinning slows a sweep threefold. OpenMP reads this when torch is first imported.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

# glibc gives large blocks back to the system when they are freed, and the next layer of a network faults every page in
# again: a third of the time of decoding a batch. Keep what was freed, up to a gigabyte at a time.
if sys.platform == "linux" and hasattr(ctypes.CDLL(None), "mallopt"):
    M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
    for option in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
        ctypes.CDLL(None).mallopt(option, 1 << 30)
