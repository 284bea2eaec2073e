# SPDX-License-Identifier: Apache-2.0
"""Figures out of samples: medians, 95 % intervals by order statistics (no distribution is assumed), and whether a
bound holds. Pure; called by every row."""
from math import comb


def median(xs):
    s = sorted(xs)
    n = len(s)
    if n == 0:
        raise ValueError("no samples")
    return s[n // 2] if n % 2 else (s[n // 2 - 1] + s[n // 2]) / 2


def interval(xs):
    """The narrowest pair of order statistics that holds the median with 95 %; below six samples there is none, and
    the whole spread is given."""
    s = sorted(xs)
    n = len(s)
    if n == 0:
        raise ValueError("no samples")
    k = 0
    while k + 1 <= (n - 1) // 2:
        outside = 2 * sum(comb(n, i) for i in range(k + 2)) / 2**n
        if outside > 0.05:
            break
        k += 1
    return s[k], s[n - 1 - k]


def percentile(xs, p):
    s = sorted(xs)
    if not s:
        raise ValueError("no samples")
    return s[min(len(s) - 1, max(0, -(-len(s) * p // 100) - 1))]


def percentile_interval(xs, p):
    """95 % interval of a percentile by order statistics; its upper end is None when the samples are too few to bound
    it from above (then nothing can be said to hold)."""
    s = sorted(xs)
    n, q = len(s), p / 100
    below, lo, hi = 0.0, None, None
    for k in range(n):  # P(exactly k samples lie below the percentile)
        below += comb(n, k) * q**k * (1 - q) ** (n - k)
        if below <= 0.025:
            lo = k
        if hi is None and below >= 0.975:
            hi = k
    return s[lo] if lo is not None else s[0], s[hi] if hi is not None and hi < n else None


HOLDS, MISSES, OPEN = "holds", "misses", "not decidable here"


def judge(lo, hi, least=None, most=None):
    """Where the interval lies against the bound. None as an end: unbounded."""
    if least is not None:
        if lo is not None and lo >= least:
            return HOLDS
        if hi is not None and hi < least:
            return MISSES
        return OPEN
    if hi is not None and hi <= most:
        return HOLDS
    if lo is not None and lo > most:
        return MISSES
    return OPEN


def slope(xs, ys):
    """(the slope of the straight line that fits best, half of its 95 % interval). Samples that follow each other are alike:
    the interval is widened by how much neighbours share."""
    n = len(xs)
    if n < 4:
        raise ValueError("a line needs four samples at least")
    mx, my = sum(xs) / n, sum(ys) / n
    sxx = sum((x - mx) ** 2 for x in xs)
    by = sum((x - mx) * (y - my) for x, y in zip(xs, ys)) / sxx
    rest = [y - my - by * (x - mx) for x, y in zip(xs, ys)]
    square = sum(r * r for r in rest)
    if not square:
        return by, 0.0
    alike = max(0.0, min(0.9, sum(a * b for a, b in zip(rest, rest[1:])) / square))
    student = 1.96 + 2.6 / (n - 2) + 3.0 / (n - 2) ** 2
    return by, student * (square / (n - 2) / sxx) ** 0.5 * ((1 + alike) / (1 - alike)) ** 0.5


def scatter(xs, ys):
    """How far samples lie from the line that fits best: their standard deviation from it."""
    n = len(xs)
    by, _ = slope(xs, ys)
    mx, my = sum(xs) / n, sum(ys) / n
    return (sum((y - my - by * (x - mx)) ** 2 for x, y in zip(xs, ys)) / (n - 2)) ** 0.5
