"""What may be concluded, in three lines: what stands out, what does not, and what these texts could not show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from headscope.inference.left_out import FEWEST_TESTED
from headscope.inference.verdicts import MARGIN
from headscope.show.numbers import rate
from headscope.studies.survey.contrasts import TWINS
from headscope.studies.survey.headline import AS_SHARP, Headline, HeadOver, headlines, principal
from headscope.studies.survey.manifest import survey_manifest
from headscope.studies.survey.nulls import variants
from headscope.studies.survey.opened import OpenedSurvey
from headscope.studies.survey.report.measures import head_name, view_name

TITLES = {"own": "Own within the text", "carry": "Carry"}
BY_ITSELF = (
    "Under a causal mask the outputs that Own within the text is held against mix ever more positions, in an untrained "
    "network too: its level says nothing by itself there, and only its contrasts do."
)


def of_directory(directory: str | Path) -> tuple[str, ...]:
    """The three lines on the principal view of a finished survey."""
    path = Path(directory)
    return of_opened(OpenedSurvey(path, survey_manifest(path)))  # its statistics, which are many, are not needed


def of_opened(survey: OpenedSurvey) -> tuple[str, ...]:
    """The same of one that is open."""
    return three_lines(principal(headlines(survey.contrasts)), survey.manifest)


def three_lines(found: Sequence[Headline], manifest: Mapping[str, Any]) -> tuple[str, ...]:
    """The three lines on one view; none where it has nothing that even attention is held against."""
    if not any(one.heads for one in found):
        return ()
    return _stand_out(found), _do_not(found), _open(found, manifest)


def _stand_out(found: Sequence[Headline]) -> str:
    each = "; ".join(_most(one, one.those("stands out", "more than even attention")) for one in found)
    view = view_name(found[0].view)
    if with_twins(found):
        sharp = _of_attention([head for one in found for head in one.those("stands out")])
        twins = f"{len(variants(TWINS))} untrained twins"
        return f"Stands out ({view}), above even attention and above {twins}: {each}.{sharp}"
    return (
        f"More than even attention ({view}): {each}; whether more than untrained twins have, too, is not measured: "
        "--null random."
    )


def with_twins(found: Sequence[Headline]) -> bool:
    """Whether untrained twins were measured, so that something may be claimed."""
    return any(one.with_twins for one in found)


def _of_attention(heads: Sequence[HeadOver]) -> str:
    """Of what stands out: whether the attention that is there would bring as much over random values."""
    held = [head.values for head in heads if head.values is not None]
    if not held:
        return f" {AS_SHARP}" if heads else ""
    if all(part.standing == "above" for part in held):
        return " All are above untrained twins that attend as the model does, too: attention alone does not bring that."
    return " Where it is not above untrained twins that attend as the model does, attention alone may bring as much."


def _most(one: Headline, heads: Sequence[HeadOver]) -> str:
    told = _share(one, heads)
    if not heads:
        return told
    best = heads[0]
    over = " and ".join(rate(part.difference, signed=True) for part in best.parts)
    small = sum(head.least < MARGIN for head in heads)
    more = f", {small} of them by less than {MARGIN}" if small else ""
    held = [head.values for head in heads if head.values is not None]
    beyond = sum(part.standing == "above" for part in held)
    more += f"; {beyond or 'none'} of them above twins that attend as the model does, too" if held else ""
    return f"{told} (most {head_name(best.layer, best.head)}, {over}{more})"


def _do_not(found: Sequence[Headline]) -> str:
    each = []
    for one in found:
        heads = one.those("does not stand out")
        below = sum(head.even.standing == "below" for head in heads)
        mixing = sum(head.even.standing == "above" for head in heads)
        why = [f"{below} below even attention"] * (below > 0)
        why += [f"{mixing} above even attention, not above untrained twins"] * (mixing > 0)
        each.append(_share(one, heads) + (f" ({', '.join(why)})" if why else ""))
    of = "one of the two" if with_twins(found) else "even attention"
    return f"Does not, being below or at most {MARGIN} above {of}: {'; '.join(each)}."


def _open(found: Sequence[Headline], manifest: Mapping[str, Any]) -> str:
    each = []
    for one in found:
        heads = one.those("undetermined")
        smallest = sorted(head.smallest for head in heads if head.smallest is not None)
        ends = list(dict.fromkeys(map(rate, (smallest[0], smallest[-1])))) if smallest else []
        effect = f" (smallest effect that they could have shown: {' to '.join(ends)})" if ends else ""
        each.append(_share(one, heads) + effect)
    texts = manifest["texts"]
    few = (
        f" With {texts['groups']:,} {of_groups(texts)} no difference is tested: that takes {FEWEST_TESTED}."
        if texts["groups"] < FEWEST_TESTED
        else ""
    )
    return f"Undetermined, as these texts could not show it: {'; '.join(each)}.{few}"


def of_groups(texts: Mapping[str, Any]) -> str:
    """What intervals leave out in turn, by the texts of a manifest."""
    return ("different texts" if "same" in texts else "texts") if texts["documents"] is None else "documents"


def _share(one: Headline, heads: Sequence[HeadOver]) -> str:
    return f"{TITLES[one.statistic]} in {len(heads) or 'none'} of {len(one.heads)} heads"


def hides_later(manifest: Mapping[str, Any], mask: str) -> bool:
    """Whether a token sees none after it under a mask."""
    return mask == "causal" or (mask == "model" and bool(manifest["model"]["causal"]))
