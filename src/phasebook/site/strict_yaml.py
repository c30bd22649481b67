"""YAML files that people write: small, each key a text and once, values that can be written again."""

import os
import stat
from pathlib import Path
from typing import Any

import yaml

__all__ = ["read"]

LARGEST = 1_000_000     # bytes
BITS = 1024             # of a whole number


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
    seen = set()
    for node_of_key, _ in node.value:
        key = loader.construct_object(node_of_key, deep=True)
        if not isinstance(key, str):
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r:.60} is no text", node.start_mark)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} stands twice", node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


def _number(loader: _Loader, node: yaml.ScalarNode) -> int:
    value = loader.construct_yaml_int(node)
    if value.bit_length() > BITS:
        raise yaml.constructor.ConstructorError(None, None, f"a number of {value.bit_length()} bits", node.start_mark)
    return value


_Loader.add_constructor("tag:yaml.org,2002:int", _number)
_Loader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)


def read(file: Path) -> Any:
    """What a YAML file holds, {} for an empty one.

    Raises:
        ValueError: one line, what is wrong with the file.
    """
    try:
        if stat.S_ISFIFO(os.stat(file).st_mode):            # nobody may ever write into it
            raise ValueError("cannot be read (is a pipe)")
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
