# SPDX-License-Identifier: Apache-2.0
"""Figures out of samples: medians, 95 % intervals by order statistics (no distribution is assumed), and whether a
bound holds. Pure; called by every row."""
from bisect import bisect_left, bisect_right
from collections import Counter
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


def slope(xs, ys, turns=1):
    """(the slope, its 95 % interval's lower and upper end): the median of the slopes between all two samples, with the interval that
    the ranks give (Theil, Sen; Kendall), so that one sample taken at a bad moment says nothing. With turns, only samples that many
    apart, or a multiple, are compared: those before which the same was done (Hirsch). Samples that follow each other are alike: the
    interval is widened by how much neighbours share."""
    n = len(xs)
    if n < 4 * turns:
        raise ValueError("a line needs four samples of each turn at least")
    by_turn = [range(t, n, turns) for t in range(turns)]
    slopes = sorted((ys[j] - ys[i]) / (xs[j] - xs[i]) for own in by_turn for k, i in enumerate(own) for j in own[k + 1:])
    by = median(slopes)
    alike = max(0.0, min(0.9, sum(_alike([ys[i] - by * xs[i] for i in own]) for own in by_turn) / turns))
    # of samples that are the same none is before the other
    pairs = sum(_pairs(len(own)) - sum(_pairs(t) for t in Counter(ys[i] for i in own).values()) for own in by_turn)
    spread = (pairs / 18 * (1 + alike) / (1 - alike)) ** 0.5
    lo, hi = int((len(slopes) - 1.96 * spread) / 2), int((len(slopes) + 1.96 * spread) / 2 + 1)
    return by, slopes[max(0, lo)], slopes[min(len(slopes) - 1, hi)]


def _pairs(n):
    return n * (n - 1) * (2 * n + 5)


def _alike(rest):
    """How much neighbours share of their distance from the middle, by ranks."""
    order = sorted(rest)
    r = [(bisect_left(order, v) + bisect_right(order, v) - len(rest)) / 2 for v in rest]
    return sum(a * b for a, b in zip(r, r[1:])) / (sum(v * v for v in r) or 1)


def scatter(xs, ys, by, turns=1):
    """How far half of the samples lie at most from the line of that slope, of each turn its own."""
    far = []
    for t in range(turns):
        rest = [y - by * x for x, y in zip(xs[t::turns], ys[t::turns])]
        middle = median(rest)
        far += [abs(r - middle) for r in rest]
    return median(far)
