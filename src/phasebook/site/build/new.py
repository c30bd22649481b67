"""A chapter of one's own from a template that works: `phasebook new NAME`.

Five files are written, and a line of `_toc.yml`: source, claims, smoke parameters, the model of the parameters, and its
test. The chapter runs as it stands; its author replaces it piece by piece.
"""

import re
from keyword import iskeyword
from pathlib import Path

from phasebook.site.build.files import publish
from phasebook.site.build.sources import chapters
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.paths import root

__all__ = ["make"]

TEMPLATE = Path(__file__).with_name("template")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
LONGEST = 60            # letters of a name, which is a title as well


def make(name: str) -> list[Path]:
    """Write the files of a new chapter.

    Args:
        name: what it is called in file names: `sample_means`.

    Returns:
        What was written, the source first.

    Raises:
        ParameterError: a name that is none, or one that is taken.
    """
    _check(name)
    home = root()
    toc = (home / "_toc.yml").read_text(encoding="utf-8")
    same = [source.stem for source in chapters() if source.stem[3:] == name]    # `phasebook run` would take the first
    begun = [stem for stem in same if f"/{stem}\n" not in f"{toc}\n"]     # a kill left them
    number = int(begun[0][:2]) if begun else 1 + max(int(source.stem[:2]) for source in chapters())
    stem = f"{number:02d}_{name}"
    if number > 99:
        raise ParameterError("NAME: there are 99 chapters already")
    files = {"chapter": home / "notebooks" / f"{stem}.py",
             "claims": home / "notebooks" / "claims" / f"{stem}.yaml",
             "smoke": home / "notebooks" / "params" / "smoke" / f"{number:02d}.yaml",
             "parameters": home / "src" / "phasebook" / "site" / "chapters" / f"{name}.py",
             "test": home / "tests" / "site" / "chapters" / f"test_{name}.py"}
    words = name.replace("_", " ")
    marks = {"STEM": stem, "SUBJECT": name, "PREFIX": _prefix(name, stem), "NUMBER": str(number),
             "TITLE_LOWER": f"on {words}", "TITLE": words.capitalize()}
    texts = {file: _filled(part, marks) for part, file in files.items()}
    taken = [home / "notebooks" / f"{one}.py" for one in same if one not in begun]
    taken += [file for file, text in texts.items() if file.exists() and file.read_bytes() != text.encode()]
    if taken:
        raise ParameterError(f"NAME = {name!r}: there is a file {taken[0].relative_to(home)}")
    for file in files.values():
        file.parent.mkdir(parents=True, exist_ok=True)
    publish(texts | {home / "_toc.yml": _contents(toc, stem)})
    return list(files.values())


def _check(name: str) -> None:
    """ParameterError unless files and a module can be called so."""
    if not NAME.fullmatch(name) or len(name) > LONGEST:
        shown = name if len(name) <= LONGEST else name[:LONGEST] + "..."
        raise ParameterError(f"NAME = {shown!r}: takes small letters, digits and single underscores, a letter first, "
                             f"at most {LONGEST} in all")
    if iskeyword(name):
        raise ParameterError(f"NAME = {name!r}: is a word of Python's, and no module can be called so; takes another")


def _prefix(name: str, stem: str) -> str:
    """What the ids of the chapter's claims begin with: its first word, and the whole name where that is taken."""
    first = re.sub("[^a-z]", "", name.split("_")[0])
    files = (root() / "notebooks" / "claims").glob("*.yaml")
    taken = any(f"\n{first}.order:" in "\n" + file.read_text(encoding="utf-8") for file in files if file.stem != stem)
    return f"{first}.{name}" if taken else first


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
