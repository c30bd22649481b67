"""The kinds of emoji that edits go within and across: the families of the exact model, and what they lack.

Mammals, fruit, vehicles, mountains, hearts and eyes are kinds by Unicode subgroup and name.
"""

import re

__all__ = ["kind_of"]

# what the families lack, by Unicode subgroup and name; the right-hand side is the kind
EXTRA = [("animal-mammal", ".*", "mammals"), ("food-fruit", ".*", "fruit"), ("heart", ".*", "hearts"),
         ("place-geographic", ".*mountain|volcano|mount fuji|desert.*", "mountains"), ("body-parts", "eyes?", "eyes"),
         ("transport-ground", ".*(train|tram|bus|engine|car|taxi|automobile|vehicle|truck|lorry|tractor|motor.*e|"
                              "scooter|rickshaw|bicycle)|ambulance|locomotive|monorail|light rail", "vehicles")]


def kind_of(row: dict[str, str]) -> str:
    """The family of a row of the emoji table, or the kind that stands for one; '' for none."""
    if row["family"]:
        return row["family"]
    for subgroup, names, kind in EXTRA:
        if row["subgroup"] == subgroup and re.fullmatch(names, row["name"]):
            return kind
    return ""
