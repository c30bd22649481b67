# ---
# jupyter:
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Using the library
#
# The code behind this book is a library. This page is executed whenever the book is built, and its printed results are
# compared when the book is tested. The names are listed in {doc}`../api`.

# %% tags=["nbval-check-output"]
import numpy as np

from phasebook.stats import median_interval

print(median_interval(np.arange(30.0)))

# %% [markdown]
# The median of thirty numbers, with the interval that covers it nineteen times in twenty.
