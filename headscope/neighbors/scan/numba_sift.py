"""A search through coarse rows of which few tokens are left, compiled: those are looked at in float64.

First every token's score is bounded; then the k that seem nearest are looked at, which k tokens surely reach; and
then all that may reach as much, or a target's mark.
"""

import numpy as np
from numba.cpython.unsafe.numbers import trailing_zeros

from headscope.neighbors import bounds
from headscope.neighbors.coarse import FINE, TOKENS
from headscope.neighbors.scan.numba_coarse import compiled, multiply
from headscope.neighbors.scan.numba_heap import push
from headscope.neighbors.scan.numba_jit import LINE, WIDE, jit, prefetch, within

_INF, _ZERO, _ONE = np.float32(np.inf), np.float32(0), np.float32(1)
_LARGEST, _SMALLEST = np.float32(bounds.LARGEST), np.float32(bounds.SMALLEST)
_UNIT, _OPEN = np.float32(bounds.COARSE_UNIT), np.float32(bounds.COARSE_OPEN)
_MARK_UNIT, _CANCELLED = 4 * bounds.UNIT, 2.0**10
_NEXT = np.uint64(1)
_TRIED = 16  # lanes
_AHEAD = 4  # rows
_square_error, _length_error = compiled(bounds.coarse_square_error), compiled(bounds.coarse_length_error)
_pair_error = compiled(bounds.pair_error)
summed = jit("contract", "reassoc", "nsz")


@compiled
def _weigh(  # type: ignore[no-untyped-def]
    scale, norms, step, rest, allowed, with_shift, with_bias, place, weight, unit, offset, of_length, of_rest, of_score
):
    """What makes products of one tile scores at one place, and what the scores are off by.

    place: |shift|, its step and rest, |bias|, its step and rest, shift·bias. A score is product · step · weight +
    z·shift · weight + z·bias · unit + offset. It is off by |z and its rest| · of_length + |z's rest| · of_rest +
    |score| · of_score: infinite where nothing is certain.
    """
    shift, shift_step, shift_rest, bias, bias_step, bias_rest, both = place
    for t in range(TOKENS):
        u, norm, left = scale[t], norms[t], rest[t]
        stretch = abs(u)
        along_shift, along_bias = with_shift[t] * step[t] * shift_step, with_bias[t] * step[t] * bias_step
        square = u * u * (norm * norm + along_shift + along_shift + shift * shift)
        square += 2 * u * (along_bias + both) + bias * bias
        reach = stretch * (norm + shift) + bias + _SMALLEST
        error = _square_error(
            stretch,
            (shift + shift_rest) * left + shift_rest * norm,
            (bias + bias_rest) * left + bias_rest * norm,
            reach,
        )
        known = (error <= _OPEN * square) & (reach <= _LARGEST) & (square >= _SMALLEST * _SMALLEST)
        inverse = _ONE / np.sqrt(square if known else _ONE)
        open_ = _length_error(error * inverse * inverse)
        usable = known & allowed[t]
        weight[t] = u * inverse if usable else _ZERO
        unit[t] = inverse if usable else _ZERO
        offset[t] = _ZERO if allowed[t] else -_INF
        doubt = (_ONE + open_) * inverse
        of_length[t] = (doubt * (stretch * left + _UNIT * reach) if known else _INF) if allowed[t] else _ZERO
        of_rest[t] = doubt * stretch * norm if usable else _ZERO
        of_score[t] = open_ if usable else _ZERO


@compiled
def _score(  # type: ignore[no-untyped-def]
    products, step, of_lane, weight, unit, offset, of_length, of_rest, of_score, scores, top
):
    """Scores of one lane, and the most that each can be."""
    z_step, with_shift, with_bias, length, rest = of_lane
    for t in range(TOKENS):
        dot = np.float32(products[t]) * (step[t] * z_step) + with_shift
        score = dot * weight[t] + with_bias * unit[t] + offset[t]
        scores[t] = score
        top[t] = score + (length * of_length[t] + rest * of_rest[t] + abs(score) * of_score[t])


@compiled
def _seem_nearest(scores, first, values, tokens):  # type: ignore[no-untyped-def]
    """Put the highest scores of a tile, and their tokens from `first` on, in the place of the least."""
    for some in range(0, TOKENS, WIDE):
        hits = within(scores, some, values[0], _INF)
        while hits:
            t = some + np.int64(trailing_zeros(hits))
            hits &= hits - _NEXT
            if scores[t] > values[0]:
                push(values, scores[t], tokens, first + t)


@compiled
def bound_all(  # type: ignore[no-untyped-def]
    cells, step, rest, norms, allowed, scale, shift, bias, own, place, steps, start, fine, of_lane, place_of, top, seeds
):
    """The most that the scores of some lanes can be → top [lane, token], and the tokens that seem nearest → seeds.

    cells uint8 [tile, group, quad, GROUP, 4], step, rest, norms and allowed [token]; scale [place, token]; shift and
    bias: steps and starts, own (1, 1) of every place, 0 of one for all; place [place, 7]; steps and start of the lanes,
    where those in fine steps begin, 0: nowhere; of_lane [lane, 5]: the step of z, z·shift, z·bias, |z and its rest|,
    |its rest|; place_of [lane]; seeds [lane, k]. Vectors and lanes come in fours, but for what is written.
    """
    places, lanes = len(place), len(top)
    room, errors = np.empty((3, places, TOKENS), np.float32), np.empty((3, places, TOKENS), np.float32)
    shifts, biases = np.empty((len(shift[0]), TOKENS), np.int32), np.empty((len(bias[0]), TOKENS), np.int32)
    products, scores = np.empty((len(steps), TOKENS), np.int32), np.empty(TOKENS, np.float32)
    values = np.full(seeds.shape, -_INF, np.float32)
    for tile in range(len(cells)):
        at = slice(tile * TOKENS, (tile + 1) * TOKENS)
        multiply(cells[tile], shift[0], shift[1], shifts)
        multiply(cells[tile], bias[0], bias[1], biases)
        multiply(cells[tile], steps, start, products)
        for p in range(places):
            of_place = (
                place[p, 0], place[p, 1], place[p, 2], place[p, 3], place[p, 4], place[p, 5], place[p, 6]
            )  # fmt: skip
            _weigh(
                scale[p, at], norms[at], step[at], rest[at], allowed[at], shifts[p * own[0]], biases[p * own[1]],
                of_place, room[0, p], room[1, p], room[2, p], errors[0, p], errors[1, p], errors[2, p],
            )  # fmt: skip
        for lane in range(lanes):
            p = place_of[lane]
            if fine:
                for t in range(TOKENS):
                    products[lane, t] = FINE * products[lane, t] + products[fine + lane, t]
            numbers = (of_lane[lane, 0], of_lane[lane, 1], of_lane[lane, 2], of_lane[lane, 3], of_lane[lane, 4])
            _score(
                products[lane], step[at], numbers, room[0, p], room[1, p], room[2, p], errors[0, p], errors[1, p],
                errors[2, p], scores, top[lane, at],
            )  # fmt: skip
            _seem_nearest(scores, tile * TOKENS, values[lane], seeds[lane])


@summed
def _exact(z, length, row, norm, scale, shift, bias, moved, added):  # type: ignore[no-untyped-def]
    """|z| cos in float64 of one row, and what it may be off by: infinite where that is not known.

    norm, moved and added: about |row|, |shift| and |bias|.
    """
    u, dot, square = np.float64(scale), 0.0, 0.0
    for i in range(len(z)):
        r = (np.float64(row[i]) + shift[i]) * u + bias[i]
        dot += z[i] * r
        square += r * r
    size, reach = np.sqrt(square), abs(u) * (np.float64(norm) + np.float64(moved)) + np.float64(added)
    if not (size > 0.0 and reach <= _CANCELLED * size):
        return 0.0, np.inf
    return dot / size, length * _pair_error(len(z), reach / size)


@compiled
def _ask(rows, tokens, i):  # type: ignore[no-untyped-def]
    """Ask memory for the row of a token that is looked at soon: it may lie anywhere."""
    if i < len(tokens):
        for part in range(0, rows.shape[1], LINE):
            prefetch(rows, tokens[i], part)


@compiled
def _list(top, low, tokens):  # type: ignore[no-untyped-def]
    """The tokens that may reach low → tokens; returns how many, −1 where they do not fit."""
    count = 0
    for some in range(0, len(top), WIDE):
        hits = within(top, some, low, _INF)
        while hits:
            if count == len(tokens):
                return -1
            tokens[count] = some + np.int64(trailing_zeros(hits))
            hits &= hits - _NEXT
            count += 1
    return count


@compiled
def _is_hopeless(dense, lane):  # type: ignore[no-untyped-def]
    """Whether of the lanes up to this one most were dense: then all are left alone."""
    count = 0
    for i in range(lane):
        count += np.int64(dense[i])
    return lane >= _TRIED and 2 * count > lane


@compiled
def sift(  # type: ignore[no-untyped-def]
    rows,
    norms,
    scale,
    shift,
    bias,
    place,
    place_of,
    z,
    length,
    top,
    seeds,
    marks,
    targets,
    most_pairs,
    looks,
    nearer,
    found,
    size,
    doubtful,
    doubts,
    dense,
):
    """What is left of some lanes after a look in float64 at all tokens that may matter.

    rows float32 [token, d], norms [token], scale [place, token], shift and bias float64 [place, d], place, top and
    seeds as in `bound_all`; z float64 [lane, d], length [lane]; marks float64 [lane, target], ascending, and how many
    there are. Out: looks [lane], how many tokens may matter; nearer [lane, target]; found [lane, room] tokens that may
    be among the k nearest, and their number size; doubtful [lane, room, 2] target and token, and their number doubts;
    dense [lane]: too much is open, and nothing of this counts.
    """
    sure, upper, pooled = np.empty(seeds.shape[1]), np.empty(most_pairs), np.empty(most_pairs, np.int64)
    for lane in range(len(top)):
        p, wanted = place_of[lane], targets[lane]
        floor = np.inf
        for i, token in enumerate(seeds[lane]):
            _ask(rows, seeds[lane], i + _AHEAD)
            score, error = _exact(
                z[lane], length[lane], rows[token], norms[token], scale[p, token], shift[p], bias[p],
                place[p, 0], place[p, 3],
            )  # fmt: skip
            floor = min(floor, score - error)
        bar = min(floor, marks[lane, 0]) if wanted else floor
        low = np.float32(bar - _MARK_UNIT * abs(bar))
        full = not bar > -np.inf or _is_hopeless(dense, lane)
        pool = -1 if full else _list(top[lane], low, pooled)
        full |= pool < 0
        looks[lane] = most_pairs if full else pool
        listed = 0
        sure[:] = -np.inf
        for i in range(pool):
            token = pooled[i]
            _ask(rows, pooled[:pool], i + _AHEAD)
            score, error = _exact(
                z[lane], length[lane], rows[token], norms[token], scale[p, token], shift[p], bias[p],
                place[p, 0], place[p, 3],
            )  # fmt: skip
            upper[i] = score + error
            if score - error > sure[0]:
                push(sure, score - error)
            for j in range(wanted):
                if score - error > marks[lane, j]:
                    nearer[lane, j] += 1
                elif score + error >= marks[lane, j]:
                    if listed == doubtful.shape[1]:
                        full = True
                        break
                    doubtful[lane, listed, 0], doubtful[lane, listed, 1] = j, token
                    listed += 1
            if full:
                break
        count = 0
        for i in range(0 if full else pool):
            if upper[i] >= sure[0]:
                if count == found.shape[1]:
                    full = True
                    break
                found[lane, count] = pooled[i]
                count += 1
        size[lane], doubts[lane], dense[lane] = count, listed, full
