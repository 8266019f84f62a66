"""Many targets of one query, compiled: the scores of a tile are sorted into buckets, whatever the number of targets.

Buckets of one width cover the range of a query's marks. Those that lie within the scores' error of a mark are flagged,
and hold the first such mark: a score in one of them is compared with the marks themselves. In any other bucket all
scores are certainly on the same side of every mark, so it is enough to hold how many there are.
"""

import numpy as np

from headscope.neighbors import bounds
from headscope.neighbors.scan.numba_jit import jit

TILES = 63  # between two drains: as many tiles' scores in one bucket do not reach the flag
_FLAG = np.uint16(2**15)
_EDGE = 16  # buckets below all marks, and above: of one alone, every addition would wait for the one before
_BLUR = 0.0625  # buckets
_SPARE = 1.1  # a tile's scores may be this many times less certain than the first one's before all is laid out anew

compiled = jit("contract", "reassoc", "nsz")


@compiled
def lay_out(marks, width, zone, buckets):  # type: ignore[no-untyped-def]
    """Empty buckets for `marks`, ascending, of scores that are off by at most width; `zone` gets what reading needs.

    zone: the error that is allowed for, where the first bucket begins, and the buckets' width.
    """
    inner, largest = len(buckets) - 2 * _EDGE, max(abs(marks[0]), abs(marks[-1]))
    # So much that the three roundings of a score's place do not move it by as much as _BLUR buckets.
    zone[0] = max(_SPARE * width, 4 / _BLUR * bounds.UNIT * largest)
    zone[2] = max((marks[-1] - marks[0] + 2 * zone[0]) / (inner - 2), zone[0])
    zone[1] = marks[0] - zone[0] - zone[2]
    buckets[:] = 0
    for index, mark in enumerate(marks):
        first = int((mark - zone[0] - zone[1]) / zone[2] - _BLUR)
        last = int((mark + zone[0] - zone[1]) / zone[2] + _BLUR)
        for bucket in range(_EDGE + first, _EDGE + last + 1):
            if buckets[bucket] == 0:
                buckets[bucket] = _FLAG + np.uint16(index)


@compiled
def bucket_of(scores, zone, buckets, code):  # type: ignore[no-untyped-def]
    """The bucket of every score; what is not a number lies below all marks."""
    base, scale = np.float32(zone[1]), np.float32(1 / zone[2])
    inner = len(buckets) - 2 * _EDGE
    least, most = np.float32(-1), np.float32(inner)
    for t in range(len(scores)):
        place = (scores[t] - base) * scale
        place = place if place > least else least
        place = place if place < most else most
        whole, edge = np.int32(place), np.int32(t % _EDGE)
        whole = whole + np.int32(_EDGE)
        whole = edge if place < np.float32(0) else whole
        code[t] = whole + edge if place >= most else whole


@compiled
def fill(code, buckets, listed):  # type: ignore[no-untyped-def]
    """Count the scores in their buckets; list those in flagged ones instead, and return how many."""
    count = np.uint64(0)
    for t in range(len(code)):
        held = buckets[np.uint32(code[t])]
        flag = held >> np.uint16(15)
        buckets[np.uint32(code[t])] = held + np.uint16(1) - np.uint16(flag)
        listed[count] = t
        count += np.uint64(flag)
    return np.int64(count)


@compiled
def reached(marks, score, width, held):  # type: ignore[no-untyped-def]
    """The first mark that a score of a flagged bucket does not surely pass, and the first that it does not reach."""
    first = np.int64(held & np.uint16(_FLAG - 1))
    # Mostly it is past this mark or not, and far from the next: no branch that the processor could guess wrong.
    first += np.int64(marks[first] < score - width)
    last = first
    while last < len(marks) and marks[last] <= score + width:
        passes = marks[last] < score - width
        last += 1
        first = last if passes else first
    return first, last


@compiled
def drain(marks, zone, buckets, nearer):  # type: ignore[no-untyped-def]
    """Empty the buckets into `nearer`: how many scores have each mark as the highest that they pass."""
    below, count = 0, len(marks)
    upto = _EDGE + np.int64((marks[0] - zone[1]) / zone[2])  # the bucket of the next mark
    for bucket in range(upto, len(buckets)):
        while below < count and upto < bucket:
            below += 1
            if below < count:
                upto = _EDGE + np.int64((marks[below] - zone[1]) / zone[2])
        if buckets[bucket] < _FLAG:
            if below > 0:
                nearer[below - 1] += buckets[bucket]
            buckets[bucket] = 0
    # Those below all marks count for none.
    for bucket in range(_EDGE + np.int64((marks[0] - zone[1]) / zone[2])):
        if buckets[bucket] < _FLAG:
            buckets[bucket] = 0


@compiled
def sum_up(nearer):  # type: ignore[no-untyped-def]
    """What passes a higher mark passes the lower ones too."""
    for target in range(len(nearer) - 2, -1, -1):
        nearer[target] += nearer[target + 1]
