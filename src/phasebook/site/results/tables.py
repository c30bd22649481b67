"""Claims as tables for a reader: numbers in as many digits as their bounds ask for, statements typeset."""

import math
import re
from collections.abc import Iterable
from html import escape
from typing import TYPE_CHECKING

from phasebook.stats import Estimate

if TYPE_CHECKING:
    from phasebook.site.results.ledger import Claim, Correction

__all__ = ["claims_table", "in_words", "multiplicity", "rounded", "shown", "signs", "told", "typeset"]

RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")


def shown(value: float | None, bound: str = "") -> str:
    """A number to four significant digits; beside a bound with a tolerance, to a tenth of that.

    Args:
        value: None for a number that is not there.
        bound: as the file of claims has it, such as '4.07472 +- 0.0001'.
    """
    if value is None:
        return "–"
    text, (_, _, tolerance) = f"{value:.4g}", bound.partition("+-")
    if tolerance and float(tolerance) > 0:
        digits = 1 - math.floor(math.log10(float(tolerance)))
        fixed = f"{value + 0.0:.{max(0, digits)}f}"
        text = max(text, fixed, key=len) if len(fixed) <= 12 and "e" not in text else text
    return signs(text)


def rounded(value: float, low: float, high: float) -> tuple[str, ...]:
    """A number and the ends of its interval, in as many decimals as two digits of its width have, or as an end needs
    lest it be taken for nothing; three digits of a number whose interval has no width.

    Args:
        value: the number.
        low: the lower end, infinite where there is none.
        high: the upper end, likewise.
    """
    three, width = (value, low, high), high - low
    if not 1e-4 < width < 1e3:
        return tuple(signs(f"{x + 0.0:.3g}") for x in three)
    decimals = 0 if all(x == round(x) for x in three) else max(0, 1 - math.floor(math.log10(width)))
    while decimals < 3 and any(x and not round(x, decimals) for x in (low, high)):
        decimals += 1
    return tuple(signs(f"{round(x, decimals) + 0.0:.{decimals}f}") for x in three)


def told(one: Estimate | None) -> str:
    """A number with its interval, on one line; where data are too few for one, with how many there are. A millionth is
    nothing."""
    if one is None:
        return "–"
    value, low, high = rounded(*(round(x, 6) for x in one[:3]))
    known = math.isfinite(one.low) and math.isfinite(one.high)
    return (f"{value} [{low}, {high}]" if known else f"{value} (n = {one.n})").replace(" ", "\u00a0")


def signs(text: str) -> str:
    """Numbers as a format gives them, in a text or alone, with proper signs: minus, powers of ten above the line, a
    cross between sizes, and a space before per cent."""
    text = re.sub(r"(?<=\d) x (?=\d)", " × ", re.sub(r"(?<=\d)%", "\u00a0%", text))
    text = re.sub(r"(?<=\d)e([+-]?)0*(\d+)", lambda m: f"·10{(m[1].strip('+') + m[2]).translate(RAISED)}", text)
    return re.sub(r"(?<![\w.])1·(?=10)", "", re.sub(r"(?<![\w.)])-(?=[\d.])", "−", text))


def _measured(c: "Claim | Correction") -> str:
    """The estimate and, below it, its interval; why there is none is the note's to say."""
    if c.interval is None:
        return shown(c.estimate, c.bound)
    low, high = (shown(end, c.bound) for end in c.interval)
    words = {(True, True): "no interval", (False, True): f"{low} or more", (True, False): f"{high} or less"}
    text = words.get(tuple(end is None for end in c.interval), f"{low} to {high}")
    return f'{shown(c.estimate, c.bound)}<div class="pb-note">{text}</div>'


def multiplicity(claims: "Iterable[Claim]") -> str:
    """How many of the claims rest on an interval, and what that many intervals do by chance; '' for none."""
    n = sum(1 for c in claims if c.interval is not None and None not in c.interval)
    if not n:
        return ""
    if n == 1:
        return "One of these verdicts rests on a 95 % interval, which misses the truth by chance one time in twenty."
    return (f"{n} of these verdicts rest on a 95 % interval, each read by itself: about {0.05 * n:.2g} of {n} may miss "
            "the truth by chance.")


def in_words(bound: str) -> str:
    """A bound with proper signs."""
    return signs(bound.replace("<=", "≤").replace(">=", "≥").replace("+-", "±"))


def typeset(words: str) -> str:
    """Words with `S_k`, `T_{N→k}`, `ε^(3/4)` and `(det G)^q` as HTML sets them; nothing else is touched."""
    below = re.compile(r"(?<![\w.])(\w)_(?:\{([^}]+)\}|([^\W_]+(?:−\d)?))")
    above = re.compile(r"(?<=[\w)])\^(?:\(([^)]+)\)|([\w½]+))")
    words = below.sub(lambda m: f"{m[1]}<sub>{m[2] or m[3]}</sub>", words)
    return above.sub(lambda m: f"<sup>{m[1] or m[2]}</sup>", words)


def claims_table(claims: "list[Claim]", caption: str = "") -> str:
    """The claims as an HTML table, one row a claim, the correction below its statement; then how many intervals were
    looked at."""
    rows = []
    for c in claims:
        bound, words, measured = in_words(c.bound), typeset(escape(c.statement)), _measured(c)
        if c.correction:
            k = c.correction
            words += f'<div class="pb-correction">Corrected: {typeset(escape(k.statement))}</div>'
            bound += f'<div class="pb-correction">{in_words(k.bound)}</div>'
            measured += f'<div class="pb-correction">{_measured(k)}</div>'
        if c.note:
            words += f'<div class="pb-note">{typeset(escape(signs(c.note)))}</div>'
        kind = c.verdict.replace(" ", "-")
        name = re.sub(r"[._]", r"\g<0><wbr>", c.id)
        rows.append(
            f'<tr id="{c.id}" role="row">'
            f'<td role="rowheader"><code>{name}</code><div class="pb-note">{c.kind}: {escape(c.reference)}</div></td>'
            f'<td role="cell">{words}</td><td role="cell">{bound}</td><td role="cell">{measured}</td>'
            f'<td role="cell"><span class="pb-verdict pb-{kind}">{c.verdict}</span></td></tr>'
        )
    names = ("claim", "statement", "bound", "measured, 95 % interval", "verdict")
    head = "".join(f'<th role="columnheader">{h}</th>' for h in names)
    title = f"<caption>{escape(caption)}</caption>" if caption else ""
    # the roles are written out because the page lays rows out as cards, which costs them their meaning as a table
    return (f'<div class="pb-scroll"><table class="pb-claims" role="table">{title}'
            f'<thead role="rowgroup"><tr role="row">{head}</tr></thead>'
            f'<tbody role="rowgroup">{"".join(rows)}</tbody></table></div>'
            f'<p class="pb-note">{multiplicity(claims)}</p>')
