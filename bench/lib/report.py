# SPDX-License-Identifier: Apache-2.0
"""The table: one line a finding, for the terminal and for bench/RESULTS.md. Knows no measurement."""
import shutil
import textwrap
from dataclasses import asdict, dataclass, field

from . import stats


@dataclass
class Finding:
    what: str
    budget: str
    weft: str = "–"
    peer: str = "–"
    verdict: str = "–"
    note: str = ""
    seconds: float = field(default=0.0)

    def as_dict(self):
        return asdict(self)


def number(x, digits=3):
    """A figure with as many digits as it deserves, never in exponents."""
    if x is None:
        return "?"
    if x == 0:
        return "0"
    if abs(x) >= 1000:
        return f"{x:,.0f}"
    whole = len(str(int(abs(x)))) if abs(x) >= 1 else 0
    return f"{x:.{max(0, digits - whole)}f}"


def spread(xs, unit=""):
    """median (95 % interval) unit"""
    lo, hi = stats.interval(xs)
    unit = f" {unit}" if unit else ""
    return f"{number(stats.median(xs))}{unit} ({number(lo)}–{number(hi)})"


def ratio_finding(what, budget, ratios, weft, peer, least=None, most=None, note=""):
    """A finding decided by paired ratios of the same interleaved runs."""
    lo, hi = stats.interval(ratios)
    text = f"ratio {number(stats.median(ratios))} ({number(lo)}–{number(hi)})"
    return Finding(what, budget, weft, peer, stats.judge(lo, hi, least, most), text + (f"; {note}" if note else ""))


def failed(what, budget, reason):
    return Finding(what, budget, verdict="not measured", note=reason)


def terminal(findings):
    width = max(100, min(200, shutil.get_terminal_size((160, 40)).columns))
    names = ["what", "budget", "Weft", "peer, same run", "verdict", "note"]
    shares = [0.20, 0.16, 0.16, 0.18, 0.10, 0.20]
    cols = [max(12, int(width * s) - 2) for s in shares]
    out = []

    def line(cells):
        wrapped = [textwrap.wrap(str(c), w) or [""] for c, w in zip(cells, cols)]
        for i in range(max(len(w) for w in wrapped)):
            out.append("  ".join((w[i] if i < len(w) else "").ljust(c) for w, c in zip(wrapped, cols)).rstrip())

    line(names)
    out.append("-" * (sum(cols) + 2 * len(cols)))
    for f in findings:
        line([f.what, f.budget, f.weft, f.peer, f.verdict, f.note])
    return "\n".join(out)


def markdown(findings, machine, how):
    def cell(text):
        return str(text).replace("|", "\\|").replace("\n", " ")

    out = ["# What was measured", "", "Written by `make bench`; not edited by hand.", "", "## Machine", ""]
    out += [f"- {k}: {v}" for k, v in machine.items()]
    out += ["", "## How", ""] + textwrap.wrap(how, 116) + ["", "## Table", ""]
    out += ["| what | budget | Weft | peer, same run | verdict | note |", "|---|---|---|---|---|---|"]
    for f in findings:
        out.append("| " + " | ".join(cell(c) for c in (f.what, f.budget, f.weft, f.peer, f.verdict, f.note)) + " |")
    counts = {}
    for f in findings:
        counts[f.verdict] = counts.get(f.verdict, 0) + 1
    out += ["", "Verdicts: " + ", ".join(f"{n} {v}" for v, n in sorted(counts.items())) + ".", ""]
    return "\n".join(out)


BEGIN, END = "<!-- make prove: begin -->", "<!-- make prove: end -->"


def proof(path):
    """The section that `make prove` wrote into the file, with a blank line before it; "" where there is none."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except FileNotFoundError:
        return ""
    if BEGIN not in text or END not in text:
        return ""
    return "\n" + text[text.index(BEGIN) : text.index(END)] + END + "\n"
