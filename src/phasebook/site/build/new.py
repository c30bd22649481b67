"""A chapter of one's own from a template that works: `phasebook new NAME`.

Five files are written, and a line of `_toc.yml`: source, claims, smoke parameters, the model of the parameters, and its
test. The chapter runs as it stands; its author replaces it piece by piece.
"""

import re
from pathlib import Path

from phasebook.site.build.files import publish
from phasebook.site.build.sources import chapters
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.paths import root

__all__ = ["make"]

TEMPLATE = Path(__file__).with_name("template")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def make(name: str) -> list[Path]:
    """Write the files of a new chapter.

    Args:
        name: what it is called in file names: `sample_means`.

    Returns:
        What was written, the source first.

    Raises:
        ParameterError: a name that is none, or one that is taken.
    """
    if not NAME.fullmatch(name):
        raise ParameterError(f"NAME = {name!r}: takes small letters, digits and single underscores, a letter first")
    number = 1 + max(int(source.stem[:2]) for source in chapters())
    stem, home = f"{number:02d}_{name}", root()
    if number > 99:
        raise ParameterError("NAME: there are 99 chapters already")
    files = {"chapter": home / "notebooks" / f"{stem}.py",
             "claims": home / "notebooks" / "claims" / f"{stem}.yaml",
             "smoke": home / "notebooks" / "params" / "smoke" / f"{number:02d}.yaml",
             "parameters": home / "src" / "phasebook" / "site" / "chapters" / f"{name}.py",
             "test": home / "tests" / "site" / "chapters" / f"test_{name}.py"}
    taken = [file for file in files.values() if file.exists()]
    if taken:
        raise ParameterError(f"NAME = {name!r}: there is a file {taken[0].relative_to(home)}")
    words = name.replace("_", " ")
    marks = {"STEM": stem, "SUBJECT": name, "PREFIX": name.split("_")[0].rstrip("0123456789") or "own",
             "NUMBER": str(number), "TITLE_LOWER": f"on {words}", "TITLE": words.capitalize()}
    texts = {file: _filled(part, marks) for part, file in files.items()}
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    publish(texts | {home / "_toc.yml": _contents((home / "_toc.yml").read_text(encoding="utf-8"), stem)})
    return list(files.values())


def _filled(part: str, marks: dict[str, str]) -> str:
    text = (TEMPLATE / f"{part}.txt").read_text(encoding="utf-8")
    return re.sub(r"\b(" + "|".join(marks) + r")\b|(?<=fig-)SUBJECT", lambda mark: marks[mark[0]], text)


def _contents(toc: str, stem: str) -> str:
    """The table of contents with the chapter behind the last one that has a number."""
    lines = toc.splitlines()
    numbered = [i for i, line in enumerate(lines) if re.search(r"- file: book/chapters/\d\d_", line)]
    last = numbered[-1]
    lines.insert(last + 1, f"{lines[last][:lines[last].index('-')]}- file: book/chapters/{stem}")
    return "\n".join(lines) + "\n"
