"""The compiled scan of one head: encode a tile, multiply it by every query, read the scores, all in cache.

Tokens run along the last axis of every scratch array, so that each loop below is one of vector
instructions over tokens. `reassoc` lets the compiler count in vector lanes; infinities keep their meaning.
"""

import numpy as np

from headscope.neighbors import bounds
from headscope.neighbors.scan.numba_jit import LINE, jit, prefetch
from headscope.neighbors.scan.numba_marks import TILES, drain, sum_up
from headscope.neighbors.scan.numba_scores import FEW, TOKENS, largest, lines, read, set_aside, trim
from headscope.question.choices import METRICS

LANES = 4  # queries multiplied at a time, and
DEPTH = 4  # components added at a time: what the vector registers hold
BUCKETS = 1024  # that more than FEW targets are counted by, twice as many for more than MANY: few scores lie in one
MANY = 64  # with a mark, and those of all queries stay near the processor
_AHEAD = 32  # rows that memory is asked for in advance

_COSINE, _EUCLIDEAN = METRICS.index("cosine"), METRICS.index("euclidean")
_LARGEST, _SMALLEST = np.float32(bounds.LARGEST), np.float32(bounds.SMALLEST)
_CANCELLED, _UNIT, _EXACT_UNIT = np.float32(bounds.CANCELLED), bounds.UNIT, bounds.EXACT_UNIT
_ONE, _ZERO, _INF = np.float32(1), np.float32(0), np.float32(np.inf)

compiled = jit("contract", "reassoc", "nsz")
_cosine_error, _dot_error = compiled(bounds.cosine_error), compiled(bounds.dot_error)
_square_error = compiled(bounds.square_error)
_recurring_cosine_error, _shared_dot_error = compiled(bounds.recurring_cosine_error), compiled(bounds.shared_dot_error)


@compiled
def _transpose(rows, out):  # type: ignore[no-untyped-def]
    """rows [token, d_head] → out [d_head, token]; past the rows' end it stays as it is."""
    whole = len(rows) // 16 * 16
    for start in range(0, whole, 16):
        for i in range(rows.shape[1]):
            for t in range(16):
                out[i, start + t] = rows[start + t, i]
    for t in range(whole, len(rows)):
        for i in range(rows.shape[1]):
            out[i, t] = rows[t, i]


@compiled
def _encode(rows, scale, shift, bias, out, square):  # type: ignore[no-untyped-def]
    """R of a tile [d_head, token], and |R|² [token]."""
    square[:] = 0
    for i in range(len(bias)):
        for t in range(TOKENS):
            encoded = scale[t] * (rows[i, t] + shift[i]) + bias[i]
            out[i, t] = encoded
            square[t] += encoded * encoded


@compiled
def _multiply(z, encoded, out):  # type: ignore[no-untyped-def]
    """Four queries z [4, d_head] times a tile [d_head, token] → out [4, token].

    Written out by hand: 16 factors stay in registers, and each load of a tile serves four queries. Eight
    would not fit beside what the compiler needs, and are slower.
    """
    out[:] = 0
    for k in range(0, len(encoded), DEPTH):
        a0, a1, a2, a3 = z[0, k], z[0, k + 1], z[0, k + 2], z[0, k + 3]
        b0, b1, b2, b3 = z[1, k], z[1, k + 1], z[1, k + 2], z[1, k + 3]
        c0, c1, c2, c3 = z[2, k], z[2, k + 1], z[2, k + 2], z[2, k + 3]
        d0, d1, d2, d3 = z[3, k], z[3, k + 1], z[3, k + 2], z[3, k + 3]
        for t in range(TOKENS):
            r0, r1, r2, r3 = encoded[k, t], encoded[k + 1, t], encoded[k + 2, t], encoded[k + 3, t]
            out[0, t] += a0 * r0 + a1 * r1 + a2 * r2 + a3 * r3
            out[1, t] += b0 * r0 + b1 * r1 + b2 * r2 + b3 * r3
            out[2, t] += c0 * r0 + c1 * r1 + c2 * r2 + c3 * r3
            out[3, t] += d0 * r0 + d1 * r1 + d2 * r2 + d3 * r3


@compiled
def _dot(z, rows, scale, shift, bias, square, out):  # type: ignore[no-untyped-def]
    """One query z [d_head] times rows [token, d_head] as they lie → out [token], and |R|² [token]."""
    for t in range(len(rows)):
        # Left to itself the processor waits for memory half of the time.
        for i in range(0, len(bias), LINE):
            prefetch(rows, t + _AHEAD, i)
        dot, norm = _ZERO, _ZERO
        for i in range(len(bias)):
            encoded = scale[t] * (rows[t, i] + shift[i]) + bias[i]
            dot += encoded * z[i]
            norm += encoded * encoded
        out[t], square[t] = dot, norm


@compiled
def _placed(product, scale, shift, bias, out):  # type: ignore[no-untyped-def]
    """Products with R of those with rows [token], for a query's products with the shift and the bias of a place."""
    for t in range(TOKENS):
        out[t] = scale[t] * (product[t] + shift) + bias


@compiled
def _reach(scale, norms, shift_norm, bias_norm, allowed, out):  # type: ignore[no-untyped-def]
    """The reach of a tile's tokens, see `bounds`: infinite where they may not be a neighbour; returns how many may."""
    fit = 0
    for t in range(len(norms)):
        reach = abs(scale[t]) * (norms[t] + shift_norm) + bias_norm + _SMALLEST
        out[t] = reach if allowed[t] else _INF
        fit += np.int64(allowed[t])
    out[len(norms) :] = _INF
    return fit


@compiled
def _weigh(metric, square, reach, cap, weight, offset, length, spread):  # type: ignore[no-untyped-def]
    """What makes the product one metric's score; and |R|, and the reach (for a cosine, of one |R|), [token].

    The last two are 0 for tokens that float32 cannot tell apart. Returns how many it can.
    """
    certain = 0
    for t in range(TOKENS):
        norm, usable = np.sqrt(square[t]), reach[t] <= cap
        if metric == _COSINE:
            usable = (reach[t] <= _LARGEST) & (reach[t] <= _CANCELLED * norm) & (norm >= _SMALLEST)
        weight[t] = (_ONE / norm if metric == _COSINE else _ONE) if usable else _ZERO
        half = np.float32(-0.5) * square[t] if metric == _EUCLIDEAN else _ZERO
        offset[t] = half if usable else -_INF
        length[t] = norm if usable else _ZERO
        spread[t] = (reach[t] / norm if metric == _COSINE else reach[t]) if usable else _ZERO
        certain += np.int64(usable)
    return certain


@compiled
def _errors(metric, length, spread, gamma, recurring):  # type: ignore[no-untyped-def]
    """The largest errors of a tile's scores, per |z| and whatever z is: every bound grows with what it is made of."""
    norm, reach = largest(length), largest(spread)
    if metric == _COSINE:
        return _recurring_cosine_error(gamma, reach) if recurring else _cosine_error(gamma, 1.0, reach), 0.0
    of_square = _square_error(gamma, norm, reach) if metric == _EUCLIDEAN else 0.0
    return _shared_dot_error(gamma, reach) if recurring else _dot_error(gamma, norm, reach), of_square


@compiled
def _drain_all(marks, targets, zones, buckets, nearer):  # type: ignore[no-untyped-def]
    """Empty the buckets of every metric and lane, before they are full."""
    for m in range(len(zones)):
        for lane in range(len(targets)):
            if zones[m, lane, 0] > 0:
                drain(marks[m, lane, : targets[lane]], zones[m, lane], buckets[m, lane], nearer[m, lane])


@compiled
def scan_head(  # type: ignore[no-untyped-def]
    first, last, rows, norms, bias, bias_norm, allowed, scale, shift, shift_norm, caps, starts,
    metrics, gamma, z, which, along, length, live, marks, targets, nearer, heaps, most, token, size, doubtful, aside,
):  # fmt: skip
    """Scan tokens first to last of one head, for every place, query and metric.

    In: rows float32 [token, d_head], norms [token], allowed [token]; scale [place, token],
    shift and bias [place, d_head], shift_norm, bias_norm and caps [place], starts [place + 1], of lanes;
    metrics [metric], indices of METRICS; z float32 [lane, depth], padded, or where queries recur [query, depth], each
    once, which [lane] (else empty) of them is a lane's, and along float32 [2, lane], their products with the shift and
    the bias of its place; length float64 [lane];
    live bool [metric, lane]; marks float64 [metric, lane, target], ascending; targets [lane], how many there are.
    Out: nearer [metric, lane, target]; heaps [metric, lane, k], of scores that tokens surely reach, the
    least first; most and token [metric, lane, pool], and size [metric, lane], the pool of tokens that may
    be among the k nearest, with the most that each can score; doubtful [pair, 5] of metric, lane,
    first target, last, token; aside [pair, 3] of metric, place, token. A lane that does not fit is no longer live.
    Returns how many doubtful and how many aside.
    """
    depth = z.shape[1]
    recurring = len(which) > 0
    single = len(length) == LANES and not (recurring or length[1:].any())  # no time to lay the table out anew
    laid_out = 0 if single else depth
    raw, encoded, product, pieces = lines(laid_out), lines(laid_out), lines(LANES), lines(6)
    with_rows = lines(len(z) if recurring else 0)
    weight, offset = lines(len(metrics)), lines(len(metrics))
    square, reach, scales, scores, norm, spread = pieces[0], pieces[1], pieces[2], pieces[3], pieces[4], pieces[5]
    errors = np.empty((len(metrics), 2))
    doubts = asides = tiles = 0
    most_targets = targets.max()
    room = BUCKETS if most_targets <= MANY else 2 * BUCKETS
    buckets = np.empty((len(metrics), len(length), room if most_targets > FEW else 0), np.uint16)
    zones, code = np.zeros((len(metrics), len(length), 3)), np.empty((2, TOKENS), np.int32)
    for start in range(first, last, TOKENS):
        count = min(TOKENS, last - start)
        if not single:
            _transpose(rows[start : start + count], raw)
        for query in range(0, len(with_rows), LANES):
            _multiply(z[query : query + LANES], raw, with_rows[query : query + LANES])
        for place in range(len(starts) - 1):
            scales[:count] = scale[place, start : start + count]
            if single:
                _dot(z[0], rows[start : start + count], scales, shift[place], bias[place], square, product[0])
            else:
                _encode(raw, scales, shift[place], bias[place], encoded, square)
            stretch = slice(start, start + count)
            fit = _reach(scales, norms[stretch], shift_norm[place], bias_norm[place], allowed[stretch], reach)
            for m in range(len(metrics)):
                certain = _weigh(metrics[m], square, reach, caps[place], weight[m], offset[m], norm, spread)
                errors[m, 0], errors[m, 1] = _errors(metrics[m], norm, spread, gamma, recurring)
                if certain < fit:
                    lanes = starts[place], starts[place + 1]
                    asides = set_aside(m, place, start, offset[m], allowed[stretch], lanes, live, aside, asides)
            for lane in range(starts[place], starts[place + 1]):
                if recurring:
                    _placed(with_rows[which[lane]], scales, along[0, lane], along[1, lane], product[lane % LANES])
                elif lane % LANES == 0 and not single:
                    _multiply(z[lane : lane + LANES], encoded, product)
                for m in range(len(metrics)):
                    if not live[m, lane]:
                        continue
                    slack = length[lane] * errors[m, 0] + errors[m, 1]
                    if metrics[m] == _EUCLIDEAN:
                        slack += _EXACT_UNIT * length[lane] ** 2
                    doubts = read(
                        m, lane, start, product[lane % LANES], weight[m], offset[m], slack, live, marks,
                        targets, nearer, heaps, most, token, size, zones, buckets, code, scores, doubtful, doubts,
                    )  # fmt: skip
        tiles += 1
        if tiles % TILES == 0 or start + TOKENS >= last:
            _drain_all(marks, targets, zones, buckets, nearer)
    for m in range(len(metrics)):
        for lane in range(len(length)):
            if zones[m, lane, 0] > 0:
                sum_up(nearer[m, lane, : targets[lane]])
            if live[m, lane]:
                size[m, lane] = trim(most[m, lane], token[m, lane], size[m, lane], heaps[m, lane, 0])
    return doubts, asides
