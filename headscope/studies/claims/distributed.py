"""S9: whether a token can be read off what the model holds at other positions, more than in untrained networks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from headscope.errors import InputError
from headscope.inference.estimates import number
from headscope.inference.max_t import together
from headscope.inference.verdicts import MARGIN, Ruling, above
from headscope.show.numbers import rate
from headscope.studies.claims.maps import TWIN_OFFSETS, Maps, TokenRecovery
from headscope.studies.claims.verdict import Finding


def distributed(found: Maps | InputError) -> Finding:
    """S9: recovery of token i at every other distance, after at least one layer's attention.

    Contradicted where any map recovers no more than the margin above its control, by intervals that all hold at once.
    It holds where every map is above its control, and above untrained twins where these were asked: that all are is
    wrongly said only where one that is not is found to be, so each is asked by itself.
    """
    if isinstance(found, InputError):
        return Finding("S9", "right", None, "undetermined", f"no linear map was fitted ({found}).")
    # At layer 0 the stream is the embeddings: nothing has been mixed, and what is read there a word says of its
    # neighbours by itself.
    asked = [one for one in found.of_all if one.offset and (one.place == "z" or one.layer > 0)]
    over_control = sum(above(one.over.told) is True for one in asked)
    by_twins = [one.over_twins for one in asked if one.over_twins is not None]
    over_twins = sum(above(one) is True for one in by_twins)
    parts = []
    for place, name in (("z", "z"), ("residual", "the residual stream")):
        for distance in sorted({abs(one.offset) for one in asked}):
            here = [one.over.told.value for one in asked if one.place == place and abs(one.offset) == distance]
            parts.append(f"{name} {distance} away {rate(_mean(here), signed=True)}")
    told = f"{over_control} of {len(asked)} maps above the control; top-1 over the control, mean: {', '.join(parts)}."
    told += f" {_of_twins(found, over_twins, len(by_twins))}"
    value = number(_mean([one.over.told.value for one in asked]))
    return Finding(
        "S9", "right", None, _ruled(asked), told, value, chance=0.0, figures=tuple(_row(one) for one in found.of_all)
    )


def _ruled(asked: Sequence[TokenRecovery]) -> Ruling:
    if not asked:
        return "undetermined"
    influences = np.nan_to_num(np.stack([one.over.influences for one in asked]))
    ends = together([one.over.told for one in asked], influences)
    # Where one sample is more than the margin, nothing is at chance.
    if any(high <= MARGIN and one.samples * MARGIN >= 1 for one, high in zip(asked, ends.high.tolist(), strict=True)):
        return "contradicted"
    if not all(above(one.over.told) is True for one in asked):
        return "undetermined"
    # An untrained network mixes, too: without twins, or no more than they, it says nothing of what was learned.
    twins = [one.over_twins for one in asked if abs(one.offset) in TWIN_OFFSETS]
    return "holds" if twins and all(one is not None and above(one) is True for one in twins) else "undetermined"


def _of_twins(found: Maps, over: int, of: int) -> str:
    if not of:
        return f"No untrained twin was asked{f' ({found.without_twins})' if found.without_twins else ''}."
    away = " and ".join(str(distance) for distance in sorted({abs(offset) for offset in TWIN_OFFSETS}))
    less = "" if over == of else "; the others recover what any network's mixing may bring"
    return f"Of the {of} maps {away} away, {over} are above those of untrained twins{less}."


def _row(one: TokenRecovery) -> dict[str, Any]:
    told, twins = one.over.told, one.over_twins
    ends = (None,) * 3 if twins is None else tuple(map(number, (twins.value, twins.low, twins.high)))
    return {
        "place": one.place, "layer": one.layer, "offset": one.offset, "samples": one.samples, "value": one.value,
        "control": one.control, "difference": number(told.value), "low": number(told.low), "high": number(told.high),
    } | dict(zip(("over_twins", "over_twins_low", "over_twins_high"), ends, strict=True))  # fmt: skip


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else float("nan")
