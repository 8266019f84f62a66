"""Products with shared vectors, read by compiled code: what `torch_rows` makes of them, tile by tile in cache."""

import numpy as np

from headscope.neighbors import bounds
from headscope.neighbors.scan.numba_jit import jit
from headscope.neighbors.scan.numba_scores import TOKENS, largest, lines, read, set_aside
from headscope.neighbors.scan.torch_rows import FAR
from headscope.question.choices import METRICS

_COSINE, _EUCLIDEAN = METRICS.index("cosine"), METRICS.index("euclidean")
_LARGEST, _SMALLEST, _FAR = np.float32(bounds.LARGEST), np.float32(bounds.SMALLEST), np.float32(FAR)
_STRETCHED, _CANCELLED = np.float32(bounds.STRETCHED), np.float32(bounds.SHARED_CANCELLED)
_SWAYED, _EXACT_UNIT = np.float32(bounds.SWAYED), bounds.EXACT_UNIT
_ROUNDED = bounds.gamma(2)  # a row is one rounding of what its vectors are of
_ONE, _ZERO, _INF = np.float32(1), np.float32(0), np.float32(np.inf)

compiled = jit("contract", "reassoc", "nsz")
_cosine_error, _dot_error = compiled(bounds.shared_cosine_error), compiled(bounds.shared_dot_error)
_square_error, _swayed, _blurred = (
    compiled(bounds.shared_square_error),
    compiled(bounds.swayed),
    compiled(bounds.blurred),
)


@compiled
def _size(norms, lengths, allowed, scale, along_shift, along_bias, of_place, gamma, tile):  # type: ignore[no-untyped-def]
    """What is known of a tile's tokens at a place: scale, |R|², reach, blur and sway (`torch_rows.Tile`), [5, TOKENS].

    All but the last three [token], those of the tile; of_place: |shift|², shift·bias, |bias|², |shift| and |bias|, and
    the lengths of what is drawn of these two. The reach is infinite where a token may not be a neighbour, or float32
    cannot bear what is multiplied. Returns how many may be one.
    """
    fit = 0
    shift_square, mixed, bias_square = of_place[0], of_place[1], of_place[2]
    far_shift, far_bias, pull_shift, pull_bias = of_place[3], of_place[4], of_place[5], of_place[6]
    for t in range(len(norms)):
        given = scale[t]
        borne = allowed[t] & (abs(given) <= _STRETCHED) & (lengths[t] <= _FAR)
        u = given if borne else _ONE
        stretch = abs(u)
        square = (norms[t] * norms[t] + shift_square + 2 * along_shift[t]) * (u * u)
        blur = lengths[t] * gamma * stretch
        tile[0, t] = u
        tile[1, t] = square + bias_square + 2 * (along_bias[t] + mixed) * u
        tile[2, t] = (norms[t] + far_shift) * stretch + far_bias + _SMALLEST if borne else _INF
        tile[3, t] = blur
        tile[4, t] = 2 * blur * (stretch * pull_shift + pull_bias)
        fit += np.int64(allowed[t])
    tile[2, len(norms) :] = _INF
    return fit


@compiled
def _weigh(metric, tile, cap, weight, offset, parts):  # type: ignore[no-untyped-def]
    """What makes products with R one metric's scores; and what they may be off by, in `parts` [3, token].

    These are the reach, the sway and the blur, for a cosine of one |R|; 0 for tokens that float32 cannot tell apart.
    Returns how many it can.
    """
    certain = 0
    for t in range(TOKENS):
        square, reach, sway = tile[1, t], tile[2, t], tile[4, t]
        norm = np.sqrt(max(square, _ZERO))
        if metric == _COSINE:
            usable = (norm >= _SMALLEST) & (reach <= min(_CANCELLED * norm, _LARGEST)) & (sway <= _SWAYED * square)
        else:
            usable = (reach <= cap) & (sway <= _SWAYED * cap * cap)
        unit = _ONE / norm if metric == _COSINE else _ONE
        weight[t] = unit if usable else _ZERO
        half = np.float32(-0.5) * square if metric == _EUCLIDEAN else _ZERO
        offset[t] = half if usable else -_INF
        parts[0, t] = reach * unit if usable else _ZERO
        parts[1, t] = sway * unit * unit if usable else _ZERO
        parts[2, t] = tile[3, t] * unit if usable else _ZERO
        certain += np.int64(usable)
    return certain


@compiled
def _errors(metric, parts, out):  # type: ignore[no-untyped-def]
    """The largest errors of a tile's scores: per |z|, whatever z is, and per length of what is drawn of it."""
    reach, sway, blur = largest(parts[0]), largest(parts[1]), largest(parts[2])
    out[1], out[2] = 0.0, _blurred(blur)
    if metric == _COSINE:
        out[0] = _cosine_error(_ROUNDED, reach) + _swayed(sway)
    else:
        out[0] = _dot_error(_ROUNDED, reach)
        if metric == _EUCLIDEAN:
            out[1] = _square_error(_ROUNDED, reach) + _swayed(sway)


@compiled
def _place(product, tile, shift, bias, out):  # type: ignore[no-untyped-def]
    """Products with R of those with rows [token], for a query's products with the shift and the bias of a place."""
    for t in range(TOKENS):
        out[t] = tile[0, t] * (product[t] + shift) + bias


@compiled
def read_products(  # type: ignore[no-untyped-def]
    start, count, some, product, along, vectors, norms, lengths, along_bias, allowed, scale, of_places, caps, starts,
    metrics, gamma, z_along, length, pull, live, marks, targets, nearer, heaps, most, token, size, doubtful, aside,
    listed,
):  # fmt: skip
    """Take notes of `count` tokens from `start`, for the first to the last of some lanes of every head.

    In: product float32 [head, vector, tile's token], its last vectors of these lanes; along, likewise, whose first
    ones are of so many `vectors` (shifts, biases): the shift of every place or none, one bias or every place's, or none
    where along_bias float32 [head, token] knows more, which is of no token where there is no bias. norms [head, token],
    lengths and allowed [token], scale [place, token] of the whole vocabulary; of_places float32 [head, place, 7], see
    `_size`, caps [head, place], starts [place + 1], of lanes; metrics [metric], indices of METRICS; z_along float32
    [head, 2, lane], products with the shift and the bias of its place; length float64 and pull float32 [head, lane], of
    z and of what is drawn of it; targets [head, lane], FEW at most.
    The rest, with a head for its first axis, as in `scan_head`; listed [head, 2] counts what is doubtful and aside.
    """
    heads, places = of_places.shape[0], of_places.shape[1]
    tile, parts, known, pieces = lines(5), lines(3), lines(2), lines(2)
    weight, offset, errors = lines(len(metrics)), lines(len(metrics)), np.empty((len(metrics), 3))
    shifts, biases = vectors
    lanes_from = product.shape[1] - (some[1] - some[0])
    # None of a lane has as many targets as to be counted by buckets.
    zones, buckets = np.zeros((len(metrics), 0, 3)), np.empty((len(metrics), 0, 0), np.uint16)
    code = np.empty((2, 0), np.int32)
    for head in range(heads):
        doubts, asides = listed[head]
        for first in range(0, count, TOKENS):
            there = min(TOKENS, count - first)
            tokens, inside = slice(start + first, start + first + there), slice(first, first + TOKENS)
            for place in range(places):
                if starts[place] >= some[1] or starts[place + 1] <= some[0]:
                    continue
                if shifts:
                    known[0, :] = along[head, place, inside]
                if biases:
                    known[1, :] = along[head, shifts + min(place, biases - 1), inside]
                elif along_bias.shape[1]:
                    known[1, :there] = along_bias[head, tokens]
                fit = _size(
                    norms[head, tokens], lengths[tokens], allowed[tokens], scale[place, tokens], known[0], known[1],
                    of_places[head, place], gamma, tile,
                )  # fmt: skip
                for m in range(len(metrics)):
                    certain = _weigh(metrics[m], tile, caps[head, place], weight[m], offset[m], parts)
                    _errors(metrics[m], parts, errors[m])
                    if certain < fit and starts[place] >= some[0]:  # a place's tokens are listed with its first lane
                        lanes = starts[place], starts[place + 1]
                        asides = set_aside(
                            m, place, start + first, offset[m], allowed[tokens], lanes, live[head], aside[head], asides
                        )
                for lane in range(max(starts[place], some[0]), min(starts[place + 1], some[1])):
                    shift, bias = z_along[head, 0, lane], z_along[head, 1, lane]
                    _place(product[head, lanes_from + lane - some[0], inside], tile, shift, bias, pieces[0])
                    for m in range(len(metrics)):
                        if not live[head, m, lane]:
                            continue
                        slack = length[head, lane] * errors[m, 0] + errors[m, 1] + pull[head, lane] * errors[m, 2]
                        if metrics[m] == _EUCLIDEAN:
                            slack += _EXACT_UNIT * length[head, lane] ** 2
                        doubts = read(
                            m, lane, start + first, pieces[0], weight[m], offset[m], slack, live[head], marks[head],
                            targets[head], nearer[head], heaps[head], most[head], token[head], size[head], zones,
                            buckets, code, pieces[1], doubtful[head], doubts,
                        )  # fmt: skip
        listed[head, 0], listed[head, 1] = doubts, asides
