"""YAML files that people write: small, each key once, text that can be written again."""

from pathlib import Path
from typing import Any

import yaml

__all__ = ["read"]

LARGEST = 1_000_000     # bytes


class _Loader(yaml.SafeLoader):
    """Refuses a key that stands twice, where the plain loader lets the last one win, and aliases: a few lines of them
    make a list of a billion entries."""

    def compose_node(self, parent, index):
        """As the plain loader's, of what is written out."""
        if self.check_event(yaml.AliasEvent):
            event = self.get_event()
            raise yaml.composer.ComposerError(None, None, f"an alias, *{event.anchor}, is not taken here",
                                              event.start_mark)
        return super().compose_node(parent, index)


def _mapping(loader: _Loader, node: yaml.MappingNode) -> dict:
    keys = [loader.construct_object(key, deep=True) for key, _ in node.value]
    for i, key in enumerate(keys):
        if key in keys[:i]:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
    return loader.construct_mapping(node, deep=True)


_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(file: Path) -> Any:
    """What a YAML file holds, {} for an empty one.

    Raises:
        ValueError: one line, what is wrong with the file.
    """
    try:
        with open(file, "rb") as stream:
            raw = stream.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read ({(error.strerror or str(error)).lower()})") from None
    if len(raw) > LARGEST:
        raise ValueError(f"is larger than {LARGEST} bytes")
    try:
        value = yaml.load(raw.decode("utf-8"), Loader=_Loader)
    except UnicodeError:
        raise ValueError("is not UTF-8 text") from None
    except RecursionError:
        raise ValueError("is nested too deeply") from None
    except Exception as error:  # values that do not fit their tags make the loader raise some six kinds
        raise ValueError(f"is not YAML ({' '.join(str(error).split())})") from None
    return {} if value is None else value
