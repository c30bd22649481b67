"""The house rules: who imports whom, what is tracked, what the pages of the project say."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import get_args

import pytest
import yaml

from phasebook.site.build import runner
from phasebook.site.results.claims import Verdict, stated
from phasebook.site.results.places import of_model

ROOT = runner.root()
HEAVY = {"diffusers", "transformers", "open_clip"}


def tracked(pattern: str = "") -> list[Path]:
    listed = subprocess.run(["git", "ls-files", pattern] if pattern else ["git", "ls-files"], cwd=ROOT,
                            capture_output=True, text=True, check=True)
    return [ROOT / name for name in listed.stdout.splitlines()]


def test_imports_run_one_way():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout


def test_heavy_packages_are_imported_by_models_and_trainers_alone_and_inside_functions():
    found = []
    for file in (ROOT / "src").rglob("*.py"):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        top = {id(n) for n in tree.body}
        for node in ast.walk(tree):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            home = {"models", "phasebook_training"} & set(file.parts)
            if any(n.split(".")[0] in HEAVY for n in names) and (not home or id(node) in top):
                found.append(f"{file.name}:{node.lineno}")
    assert not found


def test_an_import_of_the_library_changes_nothing():
    """Neither the environment nor the loaded packages: who imports a name decides what is loaded."""
    code = ("import os, sys; before = dict(os.environ), list(sys.path); import phasebook; "
            "assert (dict(os.environ), list(sys.path)) == before; "
            "names = {n for n in vars(phasebook) if not n.startswith('_')}; "
            "print(sorted(names - set(getattr(phasebook, '__all__', ())) - "
            "{m.split('.')[1] for m in sys.modules if m.startswith('phasebook.')}))")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]" and done.stderr == ""


def test_the_command_line_answers_before_torch_is_loaded():
    """A refusal, a list or a help text need not wait for seconds of imports."""
    heavy = {"torch", "diffusers", "transformers", "plotly", "xarray", "scipy.stats"}
    code = f"import sys; from phasebook.site import verbs; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# Tests of no single module: the house, all notebooks, the built pages, the API page, benchmarks, the shipped weights,
# their training.
OF_NO_MODULE = {"test_house", "test_mutations", "test_notebooks", "test_browser", "test_api", "test_bench",
                "test_reruns", "test_front", "test_conformance", "test_shipped", "test_training", "test_claims_pages"}


def test_tests_mirror_the_package():
    """tests/<room>/test_<module>.py tests src/phasebook/<room>/<module>.py, or what lies beside the library."""
    others = {"training": ROOT / "src" / "phasebook_training", "tools": ROOT / "tools"}
    lost = []
    for file in (ROOT / "tests").rglob("test_*.py"):
        room = file.parent.relative_to(ROOT / "tests")
        folder = others.get(room.as_posix(), ROOT / "src" / "phasebook" / room)
        module = folder / f"{file.stem.removeprefix('test_')}.py"
        if file.stem not in OF_NO_MODULE and not module.is_file():
            lost.append(file.relative_to(ROOT).as_posix())
    assert lost == []


def exported(file: Path) -> list[str]:
    """The names in a module's `__all__`."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return list(ast.literal_eval(node.value))
    return []


def mentions(file: Path) -> set[str]:
    """Every name that a file uses: read, taken from an object, or imported."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
        elif isinstance(node, ast.ImportFrom):
            names |= {a.name for a in node.names}
    return names


def test_no_public_name_is_used_by_tests_alone():
    """vulture takes a name in `__all__` for used; here it must be used by the library, the book, or a tool."""
    folders = ("src", "notebooks", "benchmarks", "tools", "book")
    sources = [f for folder in folders for f in (ROOT / folder).rglob("*.py")]
    used = set().union(*(mentions(f) for f in sources))
    unused = [f"{f.stem}.{name}" for f in (ROOT / "src").rglob("*.py") for name in exported(f) if name not in used]
    assert unused == []


def test_nothing_is_unpickled():
    forbidden = re.compile(r"torch\.load\(|pickle\.loads?\(|allow_pickle=True|trust_remote_code=True")
    sources = [f for f in tracked("*.py") if "tests" not in f.relative_to(ROOT).parts]  # tests make bad files
    assert [f.name for f in sources if forbidden.search(f.read_text("utf-8"))] == []


def test_lock_pins_versions_and_names_no_address():
    lines = (ROOT / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pins = [x for x in lines if x and not x.lstrip().startswith("#")]
    assert pins and all(re.match(r"[a-z0-9.\[\]_-]+==\S+", x) for x in pins)
    assert "://" not in "\n".join(lines)
    wanted = [re.split(r"[<>=#\s]", x)[0].lower().replace("_", "-") for x in
              (ROOT / "requirements.txt").read_text(encoding="utf-8").splitlines() if x and not x.startswith("#")]
    pinned = {x.split("==")[0].split("[")[0] for x in pins}
    assert [w for w in wanted if w not in pinned] == []


def test_jupyter_book_is_version_1():
    from importlib.metadata import version

    assert version("jupyter-book").startswith("1.")


def test_only_sources_and_shipped_assets_are_tracked():
    names = [f.relative_to(ROOT).as_posix() for f in tracked()]
    assert [n for n in names if n.endswith(".ipynb") and not n.startswith("tests/reference/")] == []
    assert [n for n in names if n.startswith(("_build/", "book/chapters/")) and not n.endswith(".gitkeep")] == []
    assert sum((ROOT / n).stat().st_size for n in names) < 126e6        # 106 MB of weights, as told in the README


def test_table_of_contents_holds_every_chapter_and_page():
    toc = yaml.safe_load((ROOT / "_toc.yml").read_text(encoding="utf-8"))
    files = [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    listed = [Path(file).name for file in files if "/chapters/" in file]
    pages = {s.stem for s in runner.pages()}
    assert [name for name in listed if name not in pages] == [s.stem for s in runner.chapters()]
    assert pages <= set(listed)


def test_tracked_verdicts_are_known_words():
    verdicts = json.loads((ROOT / "tests" / "reference" / "verdicts.json").read_text(encoding="utf-8"))
    assert set(verdicts.values()) <= set(get_args(Verdict))
    assert len(verdicts) >= 40


def test_the_answer_of_the_claims_counts_the_tracked_verdicts():
    verdicts = json.loads((ROOT / "tests" / "reference" / "verdicts.json").read_text(encoding="utf-8"))
    told = {name: claim for source in runner.chapters() for name, claim in stated(source.stem).items()}
    n = Counter(v for name, v in verdicts.items() if told[of_model(name, told)].kind in ("paper", "reading"))
    words = (f"Of {n.total()} verdicts on its sentences {n['holds']} hold, {n['holds with correction']} hold with a "
             f"correction, {n['fails']} fail, {n['undecided']} are undecided and {n['not tested here']} were not "
             "tested here;")
    assert words in (ROOT / "notebooks" / "19_claims.py").read_text(encoding="utf-8")


@pytest.mark.parametrize("source", runner.chapters(), ids=lambda s: s.stem)
def test_smoke_parameters_are_accepted(source):
    runner.check(source, runner.profile("smoke", source))


@pytest.mark.parametrize("source", runner.chapters(), ids=lambda s: s.stem)
def test_every_figure_has_caption_label_and_words(source):
    """A captioned cell shows something; every `show` gives an alternative text; labels are unique in the book."""
    cells = [c for c in runner.notebook(source).cells if c.cell_type == "code"]
    for cell in cells:
        figure = cell.metadata.get("mystnb", {}).get("figure")
        if "show(" in cell.source and "def " not in cell.source:
            assert figure and figure["name"].startswith("fig-") and len(figure["caption"]) > 20, cell.source[:80]
            assert re.search(r"\balt\s*=", cell.source), cell.source[:80]


def test_figure_labels_are_unique():
    labels = [c.metadata["mystnb"]["figure"]["name"] for s in runner.chapters() for c in runner.notebook(s).cells
              if "figure" in c.metadata.get("mystnb", {})]
    assert len(labels) == len(set(labels))


def test_readme_opens_with_the_two_commands_and_links_that_exist():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "make book" in text and "make test" in text
    targets = [t for t in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in t]
    assert targets and [t for t in targets if not (ROOT / t).exists()] == []


@pytest.mark.skipif(not shutil.which("make"), reason="make is not installed")
@pytest.mark.parametrize(("place", "again"), [("here", False), ("elsewhere", True), ("", True)])
def test_a_copied_or_moved_tree_makes_its_environment_its_own(tmp_path, place, again):
    """The stamp of a finished environment holds the path of its tree."""
    home = tmp_path / "a tree"
    (home / ".venv").mkdir(parents=True)
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, home / name)
    (home / ".venv" / ".complete").write_text({"here": str(home), "elsewhere": str(ROOT / "x"), "": ""}[place])
    done = subprocess.run(["make", "--dry-run", "env"], cwd=home, capture_output=True, text=True, check=True)
    assert ("--editable ." in done.stdout) == again and done.stderr == ""


def test_names_in_the_notation_exist():
    """What stands in the column 'in code' is a name in the package or a chapter."""
    rows = [line.split(" | ") for line in (ROOT / "book" / "notation.md").read_text(encoding="utf-8").splitlines()
            if line.startswith("| ") and line.count(" | ") >= 2]
    names = {name.strip() for row in rows for part in re.findall(r"`([^`]+)`", row[1]) for name in part.split(",")}
    sources = [*(ROOT / "src").rglob("*.py"), *(ROOT / "notebooks").glob("*.py")]
    words = set(re.findall(r"[A-Za-z_]\w*", "\n".join(path.read_text(encoding="utf-8") for path in sources)))
    assert len(names) > 15 and names - words == set()
