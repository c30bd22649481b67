"""Benchmarks: the files of benchmarks/ beside a yardstick of the machine, written as JSON and shown as a table.

A file has `rows()`: what was timed (`name`, `ours_s`, `peer_s`), the `ratio`, its `target` ('' for none), a `detail`,
and where a cost was followed over sizes a `curve`. A second means little on a machine that others use: the yardstick,
the rate of matrix products just before and just after, tells what it was worth.
"""

import importlib.util
import json
import platform
import re
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from phasebook.site.build.files import publish
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results.tables import in_words, signs

__all__ = ["curves", "holds", "measure", "page", "record", "short", "write", "yardstick"]


def yardstick(size: int = 768, times: int = 8) -> float:
    """10^9 operations a second of float32 matrix products, by this process's threads: the fastest of several."""
    a = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    best = float("inf")
    for _ in range(times):
        start = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - start)
    return 2 * size**3 / best / 1e9


def holds(ratio: float, target: str) -> bool | None:
    """Whether a ratio keeps to a target such as '>= 15' or '<= 5e-4'; None without a target."""
    parts = re.match(r"(>=|<=) ([\d.e+-]+)", target)
    if not parts:
        return None
    bound = float(parts[2])
    return bool(ratio >= bound if parts[1] == ">=" else ratio <= bound)


def measure(file: Path) -> list[dict]:
    """The rows of a benchmark, each with the yardsticks before and after, and whether it keeps to its target."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    before = yardstick()
    spec.loader.exec_module(module)
    rows = module.rows()
    rates = [round(before, 1), round(yardstick(), 1)]
    return [{**row, "benchmark": file.stem, "gflops": rates, "holds": holds(row["ratio"], row["target"])}
            for row in rows]


def record(folder: Path) -> Path:
    """`cpu.json` or `cuda.json` of a folder. ParameterError where it is there and cannot be read."""
    place = folder / ("cuda.json" if torch.cuda.is_available() else "cpu.json")
    try:
        _rows(place)
    except (ValueError, TypeError, KeyError) as error:
        raise ParameterError(f"{place}: holds no rows ({error}); takes what `phasebook bench` wrote, or no such file") \
            from None
    return place


def write(rows: Sequence[dict], place: Path) -> None:
    """Rows into a record: a benchmark's rows replace those it had there."""
    fresh = {row["benchmark"] for row in rows}
    kept = [row for row in _rows(place) if row["benchmark"] not in fresh]
    machine = {"processor": platform.processor() or platform.machine(), "threads": torch.get_num_threads(),
               "torch": torch.__version__, "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None}
    place.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({"machine": machine, "rows": sorted([*kept, *rows], key=lambda row: row["benchmark"])}, indent=1)
    publish({place: text + "\n"})


def page(place: Path) -> str:
    """A table of the rows, as Markdown; a sentence where none are on record."""
    if not place.exists():
        return f"Nothing of this kind is on record (`{place.name}`)."
    lines = ["| what | ours, s | peer, s | ratio | target | kept | 10⁹ op/s |", "|---|---|---|---|---|---|---|"]
    words = {True: "yes", False: "**no**", None: ""}
    for row in _rows(place):
        cells = [signs(row["name"]), *(_number(row[key]) for key in ("ours_s", "peer_s", "ratio")),
                 in_words(row["target"]).replace(" ", "\u00a0"),
                 words[row["holds"]], " to ".join(f"{rate:.0f}" for rate in row["gflops"])]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def short(place: Path) -> str:
    """A list of the rows that do not keep to their targets, and of how far they are from it, as Markdown."""
    lines = []
    for row in _rows(place):
        if row["holds"] is False:
            part = row["ratio"] / float(row["target"].split()[1])
            lines.append(f"- {signs(row['name'])}: {_number(row['ratio'])} where the target is "
                         f"{in_words(row['target'])}, {part:.2g} times the bound ({signs(row['detail'])})")
    return "\n".join(lines) or "Every row on record keeps to its target."


def curves(place: Path) -> dict[str, tuple[list[float], list[float]]]:
    """Sizes and seconds of every row that followed a cost, by what was varied."""
    curves = {}
    for row in _rows(place):
        if "curve" in row:
            name, sizes = next(iter(row["curve"].items()))
            title = name if name not in curves else f"{name} ({row['benchmark'].replace('_', ' ')})"
            curves[title] = sizes, row["curve"]["seconds"]
    return curves


def _number(value: float) -> str:
    """In three digits; thousands are written out."""
    return f"{value:.0f}" if 1e3 <= abs(value) < 1e5 else signs(f"{value:.3g}")


def _rows(place: Path) -> list[dict]:
    return json.loads(place.read_text())["rows"] if place.exists() else []
