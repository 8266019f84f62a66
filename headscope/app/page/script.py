"""The lines of Python that make a view again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from headscope.app.api.addressed import ViewAsk
from headscope.app.api.asks import MapAsk, NearestAsk
from headscope.model.card import Card
from headscope.model.opening.default import DEMO, DEMO_SHA256
from headscope.question.choices import bases
from headscope.question.model_choice import ModelChoice
from headscope.question.passage import Passage
from headscope.reading.offers import offers
from headscope.studies.survey.report.glossary import GLOSSARY

_NEAREST = ("space", "reference", "metric", "position", "k", "candidates", "vector", "at")
_ATLAS = (*_NEAREST[:4], "candidates")


def of_survey(card: Card, ask: ViewAsk, place: Path | None) -> str:
    """A program that prints what the survey in a directory says of every head; None: the survey that is kept."""
    view = {name: getattr(ask.as_usual(), name) for name in ("space", "reference", "metric", "mask")}
    opening = [
        "from headscope import Scope",
        "from headscope.studies.tested.figures import open_figures",
        "from headscope.studies.tested.there import there",
        "",
        f"survey = open_figures(there({_opened(card)}))",
    ]
    if place is not None:
        opening = [
            "from headscope.studies.survey.opened import open_survey",
            "",
            f"survey = open_survey({place.name!r})  # the directory, where the server runs",
        ]
    lines = [
        *opening,
        f"view = next(view for view in survey.views if view._asdict() == {view!r})",
        "for layer, head in survey.places:",
        f"    for figure in {tuple(GLOSSARY)!r}:",
        "        print(layer, head, figure, survey.stat(view, figure, layer, head))",
    ]
    return "\n".join(lines) + "\n"


def script(card: Card, ask: ViewAsk) -> str:
    """A program that prints what the view shows; `card` is of the model that answers."""
    imports = ["from headscope.reading.comparison import compared"] if ask.view == "heads" and ask.as_compare() else []
    lines = [
        "from headscope import Scope",
        *imports,
        "",
        f"scope = {_opened(card)}",
        *(
            ['scope.use_lens("lens.safetensors")  # the file of the lens that was in use']
            if ask.space == "fitted"
            else []
        ),
        f"reading = {_read(ask.passage, ask.mask)}",
    ]
    token, place = repr(ask.token), f"{ask.token!r}, layer={ask.layer}"
    if ask.view == "atlas":
        for reference in bases(ask.space, ask.reference):  # the grid that is shown, and those behind its switch
            asked = ask.model_copy(update={"reference": reference})
            lines.append(f"print(reading.atlas({token}{_given(asked, _ATLAS)}))")
    elif ask.view == "attention":
        weigh = "" if ask.weigh == "weights" else f", weigh={ask.weigh!r}"
        lines.append(f"print(reading.attention({place}{weigh}))")
        if ask.head is not None:
            lines.append(f"print(reading.pattern_of({ask.layer}{weigh})[{ask.head}])  # [query, source]")
    elif ask.view == "journey":
        choices = [] if ask.position else ["position=False"]
        choices += ["isolated=True"] if ask.isolated else []
        lines += [f"print(reading.journey({', '.join(choices)}))", "print(reading.mixing())"]
    elif ask.view == "layers":
        near = _given(ask, tuple(name for name in _ATLAS if name != "reference"))  # as the page asks there
        lines += ["print(reading.glance())", "print(reading.mixing())", f"print(reading.atlas({token}{near}))"]
        lines += [f"print(reading.effects({token}))  # by zeros; replaced_by='mean': by its mean over the text"]
    elif ask.view in offers():
        chosen = [f"{name}={value!r}" for name, value in ask.chosen.items() if name in offers()[ask.view].choices]
        lines.append(f"print(reading.{ask.view}({', '.join(chosen)}))")
    elif ask.view == "map":
        asked = ask.model_copy(update={"at": ask.map_at})
        ground = "reading" if ask.into is None else _read(ask.passage.saying(ask.into), ask.mask)
        of_tsne = ("perplexity",) if ask.method == "tsne" else ()
        names = ("space", "reference", "metric", "candidates", "method", "at", "size", *of_tsne, "seed")
        near = "" if ask.map_k == MapAsk.model_fields["k"].default else f", k={ask.map_k}"
        given = _given(asked, names) + near
        lines.append(f"found = {ground}.map(layer={ask.layer}, head={ask.head or 0}{given})")
        lines += ["found = found.place(reading)"] if ask.into is not None else []
        lines += ["print(found)", 'found.save("map.svg")']
    else:
        lines.append(f"near = reading.nearest({place}{_given(ask, _NEAREST)})")
        lines += ["print(near)", *_besides(ask)]
        metric = "" if ask.metric == "cosine" else f", metric={ask.metric!r}"
        lines.append(f"print(reading.nearest_positions({place}{metric}))")
    return "\n".join(lines) + "\n"


def _besides(ask: ViewAsk) -> list[str]:
    """What stands beside the nearest tokens: the other side of a comparison, or other texts."""
    compare = ask.as_compare()
    if compare is None:
        return ["print(reading.background(near))"] if ask.hubs else []
    other = compare.other_side()
    lines = []
    if compare.other.model is not None:
        asked = ModelChoice.of_spelling(compare.other.model)
        lines.append(f"scope = Scope.from_pretrained({asked.name!r}{_packed(asked.quantize)})")
    lines.append(f"other = {_read(other.passage, other.mask)}")
    token: Any = ask.token
    if compare.other.text is not None:
        lines.append("token = next(t.position for t in other.tokens if t.id == near.tokens[0].id)")
        token = "token"
    else:
        token = repr(token)
    lines.append(f"print(compared(near, other.nearest({token}, layer={ask.layer}{_given(other, _NEAREST)})))")
    return lines


def _opened(card: Card) -> str:
    name = DEMO if card.weights_sha256 == DEMO_SHA256 and card.revision is None else card.name
    revision = f", revision={card.revision!r}" if card.revision else ""
    dtype = "" if card.dtype == "float32" else ', dtype="auto"'
    return f"Scope.from_pretrained({name!r}{revision}{dtype}{_packed(card.quantize)})"


def _packed(quantize: str | None) -> str:
    return f", quantize={quantize!r}" if quantize else ""


def _read(passage: Passage, mask: str) -> str:
    given = {**passage.given, **({} if mask == "model" else {"mask": mask})}
    return f"scope.read({', '.join(_argument(name, value) for name, value in given.items())})"


def _argument(name: str, value: object) -> str:
    return repr(value) if name == "text" else f"{name}={value!r}"


def _given(ask: NearestAsk, names: tuple[str, ...]) -> str:
    """The choices that differ from the library's own defaults, as keyword arguments."""
    given = {name: getattr(ask, name) for name in names}
    return "".join(
        f", {name}={value!r}" for name, value in given.items() if value != ViewAsk.model_fields[name].default
    )
