"""The verbs behind the door: what each takes and does."""

import argparse
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from phasebook.site import slicing
from phasebook.site.build import book, new, pdf, runner, sources, stability
from phasebook.site.build.files import publish, writable
from phasebook.site.build.runner import ChapterError
from phasebook.site.checks.parameters import ParameterError
from phasebook.site.results import compare

__all__ = ["do"]

LINE = 300              # characters of a refusal
LONGEST = 200           # bytes of a file's name: while it is written it has a longer one


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """One line, exit code 2, as for a bad parameter."""
        message = message if len(message) <= LINE else f"{message[:LINE]}..."
        sys.exit(_fail(f"{message}; see {self.prog} --help", 2))


def do(arguments: list[str] | None) -> int:
    """Do what the arguments of the command line say; the exit code."""
    options = _parser().parse_args(arguments)
    try:
        options.action(options)
        sys.stdout.flush()
    except ParameterError as error:
        return _fail(str(error), 2)
    except ChapterError as error:
        if getattr(options, "traceback", False):
            print(error.traceback, file=sys.stderr)
        return _fail(str(error), 1)
    except BrokenPipeError:     # a reader who has seen enough, as `head` has
        _mute()
        return 141              # 128 and the number of SIGPIPE
    except OSError as error:    # a write names no file
        _mute()
        line = str(error) if error.filename or not error.strerror else f"cannot be written: {error.strerror.lower()}"
        return _fail(" ".join(line.split()), 1)
    return 0


def _mute() -> None:
    """What is printed and not taken goes nowhere: it would be tried again at the end."""
    try:
        sys.stdout.flush()
    except OSError:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


def _fail(line: str, code: int) -> int:
    print(f"phasebook: {line}", file=sys.stderr)
    return code


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="phasebook", description="Run, build, time and train what is in the book; sweep big slices.")
    names = "run | compare | new | book | pdf | slice | stability | bench | train"
    verbs = parser.add_subparsers(required=True, metavar=names,
                                  parser_class=_Parser)

    run = verbs.add_parser("run", help="execute one chapter with your parameters")
    run.add_argument("chapter", metavar="CHAPTER", help="11, phase_boundaries or 11_phase_boundaries")
    run.add_argument("-p", nargs=2, action="append", default=[], metavar=("NAME", "VALUE"), dest="parameters",
                     help="one parameter; lists as JSON text, e.g. -p extent '[0,1,0,1]'")
    run.add_argument("-f", type=Path, action="append", default=[], metavar="FILE.yaml", dest="files",
                     help="a flat YAML file of parameters; -p wins over it")
    run.add_argument("--profile", default="default", help="start from notebooks/params/PROFILE (smoke)")
    run.add_argument("-o", type=Path, metavar="DIR", dest="out",
                     help="where notebook and results go (default: book/chapters)")
    run.add_argument("--traceback", action="store_true", help="print the whole traceback of a failing cell")
    run.set_defaults(action=_run)

    beside = verbs.add_parser("compare", help="runs of one chapter side by side, as a page")
    beside.add_argument("runs", nargs="+", type=Path, metavar="RUN", help="a results file, a folder with one, or an "
                        "executed notebook")
    beside.add_argument("-o", type=Path, metavar="FILE", dest="out", default=Path("compare.html"),
                        help="the page (default: compare.html)")
    beside.set_defaults(action=_compare)

    own = verbs.add_parser("new", help="a chapter of your own, from a template that works")
    own.add_argument("name", metavar="NAME", help="as in file names: sample_means")
    own.set_defaults(action=lambda o: print(*new.make(o.name), sep="\n"))

    build = verbs.add_parser("book", help="execute every chapter and build the site")
    build.add_argument("--profile", default="default", help="default, or a folder of notebooks/params")
    build.add_argument("--to", type=Path, metavar="DIR", help="build in this folder (default: the repository)")
    build.add_argument("--accept", action="store_true", help="take the verdicts found as the tracked list")
    build.add_argument("--traceback", action="store_true", help="print the whole traceback of a failing cell")
    build.set_defaults(action=lambda o: book.build(o.profile, o.to, accept=o.accept))

    paper = verbs.add_parser("pdf", help="print the built pages into one PDF (needs Chromium)")
    paper.add_argument("--profile", default="default", help="of the book that was built")
    paper.add_argument("-o", type=Path, metavar="FILE", dest="out", help="the PDF (default: beside the pages)")
    paper.set_defaults(action=_pdf)

    slicing.add_arguments(verbs.add_parser("slice", help="sweep a big slice into a store, or go on with one"))

    again = verbs.add_parser("stability", help="run experimental chapters again with other seeds; list what flips")
    again.add_argument("chapters", nargs="*", metavar="CHAPTER", help="numbers or names (default: all experimental)")
    again.add_argument("--seeds", type=int, default=3, help="reruns (default: 3)")
    again.add_argument("--profile", default="default", help="default, or a folder of notebooks/params")
    again.add_argument("-o", type=Path, metavar="DIR", dest="out", help="where (default: _build/stability)")
    again.set_defaults(action=_stability)

    timed = verbs.add_parser("bench", help="time the book's routines against their peers, ratios within one run")
    timed.add_argument("names", nargs="*", metavar="NAME", help="files of benchmarks/ (default: all)")
    timed.add_argument("--page", action="store_true", help="time nothing: print all rows on record as a Markdown table")
    timed.set_defaults(action=_bench)

    train = verbs.add_parser("train", help="train the small models again; resumes where it was killed")
    train.add_argument("part", metavar="PART", help="autoencoder; clip-a, clip-b; and, after the first, unet-a, "
                       "transformer-a, unet-b, transformer-b; student-unet-a and its like distil them")
    train.add_argument("--steps", type=int, help="optimiser steps (default: the part's own)")
    train.add_argument("--seed", type=int, default=0, help=f"from 0 to {10**13} (default: 0)")
    train.add_argument("--device", default="cpu", help="cpu or cuda")
    train.add_argument("--threads", type=int, help="cores to use, of those that are here (default: all)")
    train.add_argument("--start", type=Path, metavar="DIR", help="weights to begin from, as this part leaves them, or "
                       "the teacher of a student")
    train.add_argument("-o", type=Path, metavar="DIR", dest="out", help="where (default: checkpoints/)")
    train.add_argument("--publish", action="store_true", help="put the result in assets/, where the book looks for it")
    train.set_defaults(action=_train)
    return parser


def _run(options: argparse.Namespace) -> None:
    source = runner.find_chapter(options.chapter)
    changes: dict[str, Any] = runner.profile(options.profile, source)
    for file in options.files:
        changes |= runner.given(file)
    defaults = sources.defaults(source)
    changes |= {name: _typed(value, defaults.get(name)) for name, value in options.parameters}
    out = options.out or runner.root() / "book" / "chapters"
    done = runner.run(source, changes, out, progress=sys.stderr.isatty(), say=partial(print, flush=True))
    print(f"{done.notebook} ({done.seconds:.1f} s)" if done.seconds else f"{done.notebook} (unchanged)")
    print(done.results)


def _compare(options: argparse.Namespace) -> None:
    names = [path.resolve().name.removesuffix(".ipynb").removesuffix(".results.json") for path in options.runs]
    names = [str(path) if names.count(name) > 1 else name for path, name in zip(options.runs, names, strict=True)]
    runs = [(name, compare.read(path)) for path, name in zip(options.runs, names, strict=True)]
    if options.out.suffix not in (".html", ".htm"):
        raise ParameterError(f"-o {options.out}: takes the name of a page, such as compare.html")
    _check_file(options.out)
    page = compare.page(runs)
    with writable(options.out.parent, "-o"):
        publish({options.out: page})
    print(options.out)


def _pdf(options: argparse.Namespace) -> None:
    home = runner.root() if options.profile == "default" else runner.root() / "_build" / options.profile
    if not (home / "_build" / "html" / "index.html").is_file():
        raise ParameterError(f"--profile {options.profile}: no pages there; `phasebook book` builds them")
    out = options.out or home / "_build" / "phasebook.pdf"
    _check_file(out)
    with writable(out.parent, "-o"):        # known before minutes of printing
        pdf.write(home, out)


def _check_file(out: Path) -> None:
    """ParameterError where no file can have that name, or something else has it."""
    if len(os.fsencode(out.name)) > LONGEST:
        raise ParameterError(f"-o {out.name[:60]}...: takes a file name of at most {LONGEST} bytes")
    if os.path.exists(out) and not os.path.isfile(out):
        kind = "a folder" if os.path.isdir(out) else "no file"
        raise ParameterError(f"-o {out}: is {kind}; takes the name of a file")


def _stability(options: argparse.Namespace) -> None:
    chosen = [runner.find_chapter(name) for name in options.chapters]
    out = options.out or runner.root() / "_build" / "stability"
    stability.run(chosen, options.seeds, out, options.profile)


def _typed(text: str, default: Any) -> Any:
    """A value as papermill's own -p reads it: booleans, None, numbers, else text. Text stays text where the parameter
    is text by default."""
    if isinstance(default, str):
        return text
    words = {"True": True, "true": True, "False": False, "false": False, "None": None, "null": None}
    if text in words:
        return words[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _train(options: argparse.Namespace) -> None:
    import phasebook_training as training  # torch and diffusers load in seconds, which other verbs need not pay

    folder = options.out or runner.root() / "checkpoints"
    try:
        with writable(folder, "-o"):
            done = training.train(options.part, folder, steps=options.steps, seed=options.seed, device=options.device,
                                  threads=options.threads, start=options.start)
    except (ValueError, FileNotFoundError) as error:
        raise ParameterError(str(error)) from None
    print(f"{options.part}: {done.step} steps, {done.seconds:.0f} s ({done.cpu_seconds:.0f} s of processor time)")
    if options.publish and (place := training.publish(options.part, folder, runner.root() / "assets")):
        print(place)


def _bench(options: argparse.Namespace) -> None:
    """Each file of benchmarks/ has `rows()`: what was timed, ours, the peer, the ratio and its target. They are
    written to benchmarks/results/, a benchmark's rows in place of those it had."""
    files = {f.stem: f for f in sorted((runner.root() / "benchmarks").glob("*.py"))}
    unknown = [n for n in options.names if n not in files]
    if unknown:
        raise ParameterError(f"NAME = {unknown[0]!r}: no such benchmark; known are {', '.join(files)}")
    if options.page and options.names:
        raise ParameterError(f"NAME = {options.names[0]!r}: --page times nothing, and shows all rows on record")
    from phasebook.site.build import bench  # torch loads in seconds, which other verbs need not pay

    place = bench.record(runner.root() / "benchmarks" / "results")
    if options.page:
        print(bench.page(place))
        return
    print(f"{'what':<58}{'ours s':>10}{'peer s':>10}{'ratio':>9}  target")
    for name in options.names or files:
        rows = bench.measure(files[name])
        for row in rows:
            print(f"{row['name']:<58}{row['ours_s']:>10.4g}{row['peer_s']:>10.4g}{row['ratio']:>9.3g}  "
                  f"{row['target']}  {row.get('detail', '')}")
        bench.write(rows, place)
    print(place)
