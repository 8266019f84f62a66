"""What the scores of a tile tell, compiled: which tokens may be among the k nearest, and how many pass a target's mark.

Every score is off by at most its slack. Those that may lie on either side of a mark are listed as doubtful.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from headscope.neighbors import bounds
from headscope.neighbors.scan.numba_heap import push
from headscope.neighbors.scan.numba_jit import LINE, WIDE, jit, within
from headscope.neighbors.scan.numba_marks import bucket_of, drain, fill, lay_out, reached

FEW = 12  # targets of a query that are counted one after another; more are counted by buckets
TOKENS = 512  # of a tile: scores of a few queries fit the L1 cache, the tile's encodings the L2
_UNIT = bounds.UNIT
_ONE, _ZERO, _INF = np.float32(1), np.float32(0), np.float32(np.inf)
_NEXT = np.uint64(1)  # hits & (hits − 1) is without the lowest hit

_FAST = ("contract", "reassoc", "nsz")

compiled = jit(*_FAST)
ordered = jit(*_FAST, "nnan")  # where no value is nan


@compiled
def lines(count):  # type: ignore[no-untyped-def]
    """Zeros [count, TOKENS] from the start of a cache line: vectors across two would cost a sixth of the scan."""
    whole = np.zeros(count * TOKENS + LINE, np.float32)
    first = -whole.ctypes.data % (4 * LINE) // 4
    return whole[first : first + count * TOKENS].reshape(count, TOKENS)


@ordered
def largest(values):  # type: ignore[no-untyped-def]
    largest = values[0]
    for t in range(len(values)):
        largest = values[t] if values[t] > largest else largest
    return largest


@compiled
def _scored(product, weight, offset, bar, low, high, out):  # type: ignore[no-untyped-def]
    """Scores of one query; how many reach the bar, reach low, and pass high."""
    kept, reaching, passing = _ZERO, _ZERO, _ZERO
    for t in range(TOKENS):
        score = product[t] * weight[t] + offset[t]
        out[t] = score
        kept += _ONE if score >= bar else _ZERO
        reaching += _ONE if score >= low else _ZERO
        passing += _ONE if score > high else _ZERO
    return kept, reaching, passing


@compiled
def _count(scores, low, high):  # type: ignore[no-untyped-def]
    reaching, passing = _ZERO, _ZERO
    for t in range(TOKENS):
        reaching += _ONE if scores[t] >= low else _ZERO
        passing += _ONE if scores[t] > high else _ZERO
    return reaching, passing


@compiled
def trim(most, token, size, floor):  # type: ignore[no-untyped-def]
    """Drop the pool's tokens that k others surely beat; returns how many stay."""
    stay = 0
    for i in range(size):
        if most[i] >= floor:
            most[stay], token[stay] = most[i], token[i]
            stay += 1
    return stay


@compiled
def _keep(scores, start, error, heap, most, token, size):  # type: ignore[no-untyped-def]
    """Put what may still be among the k nearest in the pool; returns the pool's new size, −1 where it does not fit."""
    for some in range(0, TOKENS, WIDE):
        hits = within(scores, some, heap[0] - error, _INF)
        while hits:
            t = some + np.int64(trailing_zeros(hits))
            hits &= hits - _NEXT
            score = scores[t]
            if score >= heap[0] - error and score > -_INF:
                if size == len(most):
                    size = trim(most, token, size, heap[0])
                    if size == len(most):
                        return -1
                most[size], token[size] = score + error, start + t
                size += 1
                if score - error > heap[0]:
                    push(heap, score - error)
    return size


@compiled
def _doubt(scores, start, low, high, about, doubtful, doubts):  # type: ignore[no-untyped-def]
    """List the scores from low to high as doubtful; returns how many there are now, −1 where they do not fit."""
    m, lane, target = about
    for some in range(0, TOKENS, WIDE):
        hits = within(scores, some, low, high)
        while hits:
            t = some + np.int64(trailing_zeros(hits))
            hits &= hits - _NEXT
            if scores[t] > -_INF:
                if doubts == len(doubtful):
                    return -1
                _list(doubtful[doubts], m, lane, target, target + 1, start + t)
                doubts += 1
    return doubts


@compiled
def _list(entry, m, lane, first, last, token):  # type: ignore[no-untyped-def]
    entry[0], entry[1], entry[2], entry[3], entry[4] = m, lane, first, last, token


@compiled
def _count_each(scores, start, slack, marks, about, nearer, doubtful, doubts):  # type: ignore[no-untyped-def]
    """Count a tile's scores for one mark after another; returns as `_doubt` does."""
    fit = True
    for target in range(len(marks)):
        width = slack + 2 * _UNIT * abs(marks[target])
        low, high = np.float32(marks[target] - width), np.float32(marks[target] + width)
        reaching, passing = _count(scores, low, high)
        nearer[target] += np.int64(passing)
        if reaching > passing:
            more = _doubt(scores, start, low, high, (about[0], about[1], about[2] + target), doubtful, doubts)
            fit &= more >= 0
            doubts = max(doubts, more)
    return doubts, fit


@compiled
def _count_all(  # type: ignore[no-untyped-def]
    scores, start, slack, marks, zone, buckets, code, about, nearer, doubtful, doubts
):
    """The same by buckets, where `nearer` is how many have each mark as the highest that they pass."""
    fit = True
    width = slack + 2 * _UNIT * max(abs(marks[0]), abs(marks[-1]))
    if width > zone[0]:
        if zone[0] > 0:
            drain(marks, zone, buckets, nearer)
        lay_out(marks, width, zone, buckets)
    bucket_of(scores, zone, buckets, code[0])
    for i in range(fill(code[0], buckets, code[1])):
        t = code[1, i]
        first, last = reached(marks, np.float64(scores[t]), width, buckets[code[0, t]])
        if first > 0:
            nearer[first - 1] += 1
        if last > first:
            if doubts == len(doubtful):
                fit = False
            else:
                _list(doubtful[doubts], about[0], about[1], first, last, start + t)
                doubts += 1
    return doubts, fit


@compiled
def set_aside(m, place, start, offset, allowed, lanes, live, aside, asides):  # type: ignore[no-untyped-def]
    """List the tokens of a tile that float32 cannot tell apart; returns how many are aside now.

    offset and allowed [token], those of the tile; lanes: the first of the place, and the first of the next.
    """
    for t in range(len(allowed)):
        if offset[t] == -_INF and allowed[t]:
            if asides == len(aside):
                live[m, lanes[0] : lanes[1]] = False
            else:
                aside[asides] = m, place, start + t
                asides += 1
    return asides


@compiled
def read(  # type: ignore[no-untyped-def]
    m, lane, start, product, weight, offset, slack, live, marks, targets, nearer, heaps, most, token, size,
    zones, buckets, code, scores, doubtful, doubts,
):  # fmt: skip
    """Read what a tile's scores of one lane tell under one metric; returns how many are doubtful now.

    product, weight and offset [token]; slack: what a score is off by, at most; the others as in `scan_head`.
    """
    wanted = targets[lane]
    low = high = _INF
    if 0 < wanted <= FEW:
        width = slack + 2 * _UNIT * abs(marks[m, lane, 0])
        low, high = np.float32(marks[m, lane, 0] - width), np.float32(marks[m, lane, 0] + width)
    bar = heaps[m, lane, 0] - np.float32(slack)
    kept, reaching, passing = _scored(product, weight, offset, bar, low, high, scores)
    if kept > 0:
        size[m, lane] = _keep(
            scores, start, np.float32(slack), heaps[m, lane], most[m, lane], token[m, lane], size[m, lane]
        )
        live[m, lane] &= size[m, lane] >= 0
    if wanted > FEW:
        doubts, fit = _count_all(
            scores, start, slack, marks[m, lane, :wanted], zones[m, lane], buckets[m, lane], code, (m, lane),
            nearer[m, lane], doubtful, doubts,
        )  # fmt: skip
        live[m, lane] &= fit
        return doubts
    nearer[m, lane, 0] += np.int64(passing)
    if reaching > passing:
        more = _doubt(scores, start, low, high, (m, lane, 0), doubtful, doubts)
        live[m, lane] &= more >= 0
        doubts = max(doubts, more)
    if wanted > 1:
        doubts, fit = _count_each(
            scores, start, slack, marks[m, lane, 1:wanted], (m, lane, 1), nearer[m, lane, 1:], doubtful, doubts
        )
        live[m, lane] &= fit
    return doubts
