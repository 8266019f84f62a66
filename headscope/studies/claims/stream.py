"""What was said of the residual stream, asked of a corpus: B2 to B7 from a survey's streams, B8 and B9.

Content words, function words and punctuation apart; what was said of words is ruled by the first two.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from operator import add
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from headscope.inference.estimates import Resampled, number
from headscope.inference.left_out import Jackknifed, changed, mean_of
from headscope.inference.verdicts import Condition, Interval, Ruling, above, below, ruling, within
from headscope.neighbors import search
from headscope.question.choices import Mask
from headscope.scope import Scope
from headscope.show.progress import Progress
from headscope.studies.claims.passes import MixingPassTask, measured
from headscope.studies.claims.sample import Sample, slope
from headscope.studies.claims.surveyed import Streams, Surveyed
from headscope.studies.claims.verdict import Finding, figures_of, ruled, signed
from headscope.studies.hands import Hands

WORDS = ("content", "function")
CLASSES = {"content": "content words", "function": "function words", "punctuation": "punctuation"}
THOUSANDS, NEAR = 1000, 10  # B2
JUMP = 5  # B3: the layer at which function words jump; they return at the next
STORIES = 0.5  # B6: a rank correlation from here on is one story
DENSITY = 10  # B8: nearest neighbours
FEWEST = 10  # B8: types of a class; an interval resampled from fewer is too narrow to rule by
LARGE = 24  # B7: layers of the model that it was said of
_FEWEST = 4  # layers that two halves take
Means = dict[str, Jackknifed[float]]  # by class of tokens


@dataclass(frozen=True)
class TokenClasses:
    """The tokens of each class, bool [token], and how to take means and medians of them."""

    sample: Sample
    members: dict[str, NDArray[np.bool_]]

    @classmethod
    def of(cls, survey: Surveyed) -> TokenClasses:
        """The classes of a survey's tokens."""
        word_class = survey.tokens["word_class"]
        return cls(survey.sample, {name: word_class == name for name in CLASSES})

    def mean(self, values: NDArray[np.float64], name: str) -> Jackknifed[float]:
        """The mean of a class."""
        return self.sample.mean(np.where(self.members[name], values, np.nan))

    def median(self, values: NDArray[np.float64], name: str) -> Resampled[float]:
        """The median of a class."""
        return self.sample.median(np.where(self.members[name], values, np.nan))


def by_layer(survey: Surveyed) -> list[Finding]:
    """B2 to B7, for a survey that measured the residual stream; undetermined for one that did not."""
    streams = survey.streams
    if streams is None:
        said = "the survey measured no residual streams (--stream)."
        return [_said(id, "undetermined", said) for id in ("B2", "B3", "B4", "B5", "B6", "B7")]
    words = TokenClasses.of(survey)
    last = survey.layers - 1
    return [
        _leap(words, streams, last, survey.manifest["model"]["vocab_size"]),
        _jump(words, streams, last),
        _reverse(words, streams, last),
        _drift(words, streams, last),
        _three(survey.sample, streams, last),
        _steady(survey.sample, streams, last),
    ]


def _leap(words: TokenClasses, streams: Streams, last: int, vocab_size: int) -> Finding:
    """B2."""
    if vocab_size < 2 * THOUSANDS:
        return _said("B2", "not applicable", f"among {vocab_size:,} tokens no rank is in the thousands.")
    medians = {name: words.median(streams.rank_after_attention[last], name) for name in CLASSES}
    content, function = (medians[name] for name in WORDS)
    figures = [
        figures_of(words.median(streams.rank_after_attention[layer], name), layer=layer, words=name)
        for layer in range(last + 1)
        for name in CLASSES
    ]
    told = "; ".join(f"{CLASSES[name]} {_count(one)}" for name, one in medians.items() if not np.isnan(one.value))
    # Ranks are whole numbers: at least 1,000 is above 999.5, and so at the other end.
    holds = [above(content, THOUSANDS - 0.5), below(function, NEAR + 0.5)]
    apart = content - function
    said = _reversed(
        ruled(holds, [below(apart)]),
        "it is function words that lie farther out",
        "content words lie farther out than function words, but not as far as was said" if above(apart) else "",
    )
    return _found("B2", ruled(holds, [below(apart)]), f"median rank at layer {last}: {told}{said}.", content, figures)


def _changes(words: TokenClasses, streams: Streams, layer: int) -> tuple[Means, list[dict[str, Any]]]:
    """Change of the log10 rank from the layer before to `layer`, by class, and content less function."""
    change = np.log10(streams.rank_after_attention[layer]) - np.log10(streams.rank_after_attention[layer - 1])
    found = {name: words.mean(change, name) for name in CLASSES}
    return found, [figures_of(one, layer=layer, words=name) for name, one in found.items()]


def _jump(words: TokenClasses, streams: Streams, last: int) -> Finding:
    """B3."""
    if last < JUMP + 1:
        return _said("B3", "not applicable", f"the model has no layer {JUMP + 1}: its last is {last}.")
    there, figures = _changes(words, streams, JUMP)
    back, more = _changes(words, streams, JUMP + 1)
    apart = there["function"] - there["content"]
    conditions: list[Condition] = [above(there["function"]), below(back["function"]), above(apart)]
    conditions.append(_not(above(there["content"])))  # "content words do not" is no more than: not shown to
    told = (
        f"log10 rank at layer {JUMP}: function words {signed(there['function'])}, content words "
        f"{signed(there['content'])}; at layer {JUMP + 1}: function words {signed(back['function'])}. Punctuation: "
        f"{signed(there['punctuation'])}, then {signed(back['punctuation'])}."
    )
    return _ruled("B3", conditions, told, apart, [*figures, *more])


def _reverse(words: TokenClasses, streams: Streams, last: int) -> Finding:
    """B4."""
    if last < 1:
        return _said("B4", "not applicable", "the model has one layer.")
    there, figures = _changes(words, streams, last)
    apart = there["content"] - there["function"]
    holds = [above(there["content"]), above(apart), _not(above(there["function"]))]
    found = ruled(holds, [below(apart), below(there["content"])])
    said = _reversed(
        found,
        "it is function words that move out" if below(apart) else "content words move in",
        "both classes move out, content words farther" if holds[1] and not holds[2] else "",
    )
    told = (
        f"log10 rank at layer {last}: content words {signed(there['content'])}, function words "
        f"{signed(there['function'])}, punctuation {signed(there['punctuation'])}{said}."
    )
    return _found("B4", found, told, apart, figures)


def _drift(words: TokenClasses, streams: Streams, last: int) -> Finding:
    """B5."""
    steps = last + 1
    if steps < _FEWEST:
        return _said("B5", "not applicable", f"{steps} layers have no two halves.")
    middle = steps // 2
    # The middle is the end of one half and the beginning of the other: each slope has all its steps.
    halves = {"first": range(middle + 1), "second": range(middle, steps + 1)}
    slopes: dict[tuple[str, str], Jackknifed[float]] = {}
    for half, places in halves.items():
        for name in CLASSES:
            slopes[half, name] = slope([words.mean(streams.cosine[place], name) for place in places])
    conditions: list[Condition] = []
    for name in WORDS:
        first, second = slopes["first", name], slopes["second", name]
        # "A little": together they still fall.
        conditions += [below(first), above(second), below(changed(add, first, second))]
    apart = {half: slopes[half, "content"] - slopes[half, "function"] for half in halves}
    conditions += [within(one) for one in apart.values()]
    told = "; ".join(
        f"{half} half: " + ", ".join(f"{CLASSES[name]} {signed(slopes[half, name])}" for name in CLASSES)
        for half in halves
    )
    figures = [figures_of(one, half=half, words=name) for (half, name), one in slopes.items()]
    figures += [figures_of(one, half=half, words="content − function") for half, one in apart.items()]
    return _ruled("B5", conditions, f"cosine by layer, {told}.", slopes["first", "content"], figures)


def _three(sample: Sample, streams: Streams, last: int) -> Finding:
    """B6."""
    # Before all layers cosine, rank and overlap are 1 by definition.
    stories = [
        {"cosine": streams.cosine[place], "rank": -np.log10(streams.rank[place]), "overlap": streams.overlap[place]}
        for place in range(1, last + 2)
    ]
    figures: list[dict[str, Any]] = []
    pairs: dict[str, Jackknifed[float]] = {}
    for one, other in combinations(stories[0], 2):
        by_layer = [sample.correlation(layer[one], layer[other]) for layer in stories]
        figures += [figures_of(found, layer=n, pair=f"{one}, {other}") for n, found in enumerate(by_layer)]
        known = [found for found in by_layer if not np.isnan(found.value)]
        if known:  # where one of the two is the same at all tokens, it tells no story
            pairs[f"{one} and {other}"] = mean_of(known)
            figures.append(figures_of(pairs[f"{one} and {other}"], pair=f"{one}, {other}, mean over layers"))
    if len(pairs) < 3:
        return _said("B6", "undetermined", "the figures are the same at all tokens of every layer.")
    told = "; ".join(f"{name} {signed(one)}" for name, one in pairs.items())
    closest = max(pairs.values(), key=lambda one: one.value)
    told = f"rank correlation over the tokens of a layer, mean over layers: {told}."
    return _ruled("B6", [below(one, STORIES) for one in pairs.values()], told, closest, figures)


def _steady(sample: Sample, streams: Streams, last: int) -> Finding:
    """B7."""
    cosines = [sample.mean(one) for one in streams.cosine]
    steps = [after - before for before, after in pairwise(cosines)]
    figures = [figures_of(step, layer=layer, figure="cosine, change") for layer, step in enumerate(steps)]
    signs = "".join({True: "−", False: "+", None: "·"}[below(step)] for step in steps)
    largest = max(steps, key=lambda step: step.value)
    told = f"change of the cosine at each layer (− falls, + rises, · either): {signs}"
    if last + 1 != LARGE:
        told += f"; it was said of a model with {LARGE} layers, and is asked of this one"
    return _ruled("B7", [below(step) for step in steps], f"{told}.", largest, figures)


def density(survey: Surveyed, scope: Scope) -> Finding:
    """B8: how near the 10 nearest input embeddings of a token type are, by the class that its tokens are mostly of."""
    ids, names = _types(survey)
    arriving = scope.bench.vocabulary.arriving(None)
    table = arriving.table
    rows = table.rows[0][torch.from_numpy(ids).to(table.device)]  # (type, d_model)
    own = torch.from_numpy(ids).to(table.device)
    k = min(DENSITY + 1, table.candidates)
    near = search(table, [arriving.place], rows[:, None], own, k=k)["cosine"]
    others = near.ids[:, 0] != own[:, None]
    # Identical rows tie with the own one, which may then be cut off.
    others &= others.cumsum(-1) <= k - 1
    cosines = torch.where(others, 1 - near.distances[:, 0], torch.nan).nanmean(-1).double().cpu().numpy()
    # The claim is about embeddings: token types are the sample, not the texts that they come in.
    words = TokenClasses(Sample.of(np.arange(len(ids)), len(ids), 0), {name: names == name for name in CLASSES})
    means = {name: words.mean(cosines, name) for name in CLASSES}
    if any(np.isnan(means[name].value) for name in WORDS):
        return _said("B8", "undetermined", "the texts have no word of one of the classes.")
    apart = means["content"] - means["function"]
    counts = {name: int(members.sum()) for name, members in words.members.items()}
    told = "; ".join(f"{CLASSES[name]} {one.value:.3f} ({counts[name]:,} types)" for name, one in _known(means))
    figures = [figures_of(one, words=name, types=counts[name]) for name, one in means.items()]
    told = f"mean cosine to the {k - 1} nearest: {told}; {signed(apart)}."
    if min(counts[name] for name in WORDS) < FEWEST:
        return _ruled("B8", [None], f"{told} Fewer than {FEWEST} types of a class rule nothing.", apart, figures)
    return _ruled("B8", [above(apart)], told, apart, figures)


def _types(survey: Surveyed) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The token types of the texts, and the class that most of their tokens are of."""
    ids, word_class = survey.tokens["id"].astype(np.int64), survey.tokens["word_class"]
    classes = sorted(set(word_class))
    types, which = np.unique(ids, return_inverse=True)
    counts = np.stack([np.bincount(which, word_class == name, len(types)) for name in classes])
    return types, np.array(classes, dtype=object)[counts.argmax(0)]


def unaffected(survey: Surveyed, hands: Hands, mask: Mask, directory: Path, progress: Progress) -> Finding:
    """B9: how much of a layer's output at a token comes from other positions (Kobayashi et al. 2021)."""
    found = measured(survey, hands, MixingPassTask.of(survey, mask), directory, progress, "mixing ratios")
    # With LayerNorm where it follows the sum, as the paper's last ratio has it; else what comes closest.
    name = next((n for n in ("layernorm", "residual") if not np.isnan(found[n]).all()), None)
    if name is None:
        return _said("B9", "not applicable", "a norm stands between attention and residual: no ratio is defined.")
    words, ratios = TokenClasses.of(survey), found[name].astype(np.float64)  # (token, layer)
    means = {one: words.mean(ratios.mean(1), one) for one in CLASSES}
    apart = means["function"] - means["content"]
    figures = [
        figures_of(words.mean(ratios[:, layer], one), layer=layer, words=one)
        for layer in range(survey.layers)
        for one in CLASSES
    ]
    told = "; ".join(f"{CLASSES[one]} {mean.value:.3f}" for one, mean in _known(means))
    with_what = {"layernorm": "with residual and LayerNorm", "residual": "with residual"}[name]
    return _ruled("B9", [below(apart)], f"mixing ratio {with_what}: {told}; {signed(apart)}.", apart, figures)


def _ruled(
    id: str, conditions: Sequence[Condition], told: str, main: Interval, figures: Sequence[dict[str, Any]]
) -> Finding:
    return _found(id, ruling(conditions), told, main, figures)


def _found(id: str, ruled: Ruling, told: str, main: Interval, figures: Sequence[dict[str, Any]]) -> Finding:
    return Finding(
        id, "right", None, ruled, told, number(main.value), number(main.low), number(main.high),
        figures=tuple(figures),
    )  # fmt: skip


def _said(id: str, ruled: Ruling, told: str) -> Finding:
    return Finding(id, "right", None, ruled, told)


def _reversed(found: Ruling, reverse: str, short: str) -> str:
    """What a reader needs of a claim that does not hold: its reverse was shown, or that it falls short."""
    told = {"contradicted": reverse, "undetermined": short}.get(found, "")
    return f": {told}" if told else ""


def _known(means: Means) -> list[tuple[str, Jackknifed[float]]]:
    return [(name, one) for name, one in means.items() if not np.isnan(one.value)]


def _not(condition: Condition) -> Condition:
    """That a figure is not shown to be above: True unless its interval is."""
    return condition is not True


def _count(figure: Resampled[float]) -> str:
    if not np.isfinite(figure.low):
        return f"{figure.value:,.1f}"
    return f"{figure.value:,.0f} [{figure.low:,.0f}, {figure.high:,.0f}]"
