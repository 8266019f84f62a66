"""Every address of the API: its function, whose types say what is asked and what is answered, and examples."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from inspect import Parameter
from typing import Any, Literal, get_args, get_origin, get_type_hints

from starlette.requests import Request

from headscope.app.api import maps, offered, others, questions
from headscope.app.api.answers import Json
from headscope.app.api.desk import Desk
from headscope.app.page import taking

Examples = Mapping[str, Mapping[str, Any]]
_EXPERIMENT: Examples = {"the experiment's question": {}}
_BYTES = ("application/octet-stream",)
_IN_ITS_BASIS: Examples = {"layer 3 in the experiment's basis": {"layer": 3, "reference": "input"}}


@dataclass(frozen=True)
class Address:
    """An address under the API's prefix. `function`: of the desk, and of what a request gives, by FastAPI's types.

    `examples`: of what is asked, by what they show; `media`: what is answered, where it is no JSON.
    """

    path: str
    function: Callable[..., Any]
    summary: str
    examples: Examples = field(default_factory=dict)
    method: Literal["GET", "POST", "DELETE"] = "POST"
    media: tuple[str, ...] = ()

    @cached_property
    def types(self) -> dict[str, Any]:
        """Of the function's parameters, and what it returns."""
        return get_type_hints(self.function, include_extras=True)

    @property
    def answer(self) -> Any:
        """The type of the record that is answered."""
        answer = self.types["return"]
        return get_args(answer)[0] if get_origin(answer) is Json else answer

    @property
    def parameters(self) -> list[Parameter]:
        """What a request gives."""
        given = inspect.signature(self.function).parameters.values()
        return [one.replace(annotation=self.types[one.name]) for one in given if one.name != "desk"]

    async def answered(self, desk: Desk, **given: Any) -> Any:
        """The record, or what is ready to be sent."""
        return await self.function(desk, **given)


class QuestionAddress(Address):
    """The address of a question about a text: `function` of its turn and what is asked; answered in turn, and kept."""

    @property
    def parameters(self) -> list[Parameter]:
        kind = Parameter.KEYWORD_ONLY
        return [
            Parameter("ask", kind, annotation=self.types["ask"]),
            Parameter("request", kind, annotation=Request),
        ]

    async def answered(self, desk: Desk, **given: Any) -> Json[Any]:
        return await desk.answer(given["ask"], self.function, given["request"])


TABLE: tuple[Address, ...] = (
    Address("health", others.health, "Is the server there?", method="GET"),
    Address("models", others.models, "Which models are open, and which could be?", method="GET"),
    Address("models", others.open_model, "Open a model; does not wait for it", {"the demo weights": {"model": "demo"}}),
    Address("models/opening", others.opening, "How far is the model being opened?", method="GET"),
    QuestionAddress("read", questions.read, "Read a text: its tokens", {**_EXPERIMENT, "no mask": {"mask": "full"}}),
    QuestionAddress(
        "nearest",
        questions.nearest,
        "What one layer's heads write at a token",
        {
            **_EXPERIMENT,
            "layer 3 in the experiment's basis": {"layer": 3, "reference": "input", "token": "banana"},
        },
    ),
    QuestionAddress("background", questions.background, "Hub-aware neighbours, and chance", _EXPERIMENT),
    QuestionAddress(
        "why",
        questions.why,
        "Why a token is near: its score by source position",
        {"head 6 at flies": {"token": 2, "head": 6, "id": 1000}},
    ),
    QuestionAddress(
        "worked",
        questions.worked,
        "One distance worked out from q·k on",
        {**_EXPERIMENT, "head 7 at banana": {"token": 11, "head": 7}},
    ),
    QuestionAddress(
        "compare",
        questions.compare,
        "What changes with another mask or reference",
        {
            **_EXPERIMENT,
            "layer 3 in both bases": {"layer": 3, "other": {"reference": "input"}},
            "as if it could not look ahead": {"other": {"mask": "causal"}},
        },
    ),
    QuestionAddress("atlas", questions.atlas, "The nearest token of every layer and head", _EXPERIMENT),
    Address(
        "atlas/layers",
        others.atlas_lines,
        "The same as lines of JSON: each layer when it is found, and last the answer",
        _EXPERIMENT,
        media=(others.LINES,),
    ),
    QuestionAddress(
        "attention",
        questions.attention,
        "What one layer's heads attend to at a token",
        {**_EXPERIMENT, "one head's whole pattern": {"weigh": "norms", "head": 7}},
    ),
    QuestionAddress(
        "written",
        questions.written,
        "Which tokens of the text every output of a layer's heads is near to",
        {**_EXPERIMENT, "head 8 of layer 2": {"layer": 2, "head": 8, "html": True}},
    ),
    QuestionAddress(
        "standing",
        questions.standing,
        "Where every head's output at a token ranks the text's own tokens, in numbers and in words",
        {**_EXPERIMENT, "head 1 of layer 1 at banana": {"token": "banana", "layer": 1, "head": 1, "html": True}},
    ),
    QuestionAddress(
        "journey",
        questions.journey,
        "Every token's residual stream through the layers",
        {**_EXPERIMENT, "without positions": {"position": False}},
    ),
    QuestionAddress("mixing", questions.mixing, "How much comes from other positions", _EXPERIMENT),
    QuestionAddress("glance", questions.glance, "Every head of the text in five numbers", _EXPERIMENT),
    QuestionAddress(
        "effects",
        questions.effects,
        "What the output at a token loses without each head",
        {**_EXPERIMENT, "by the mean": {"replaced_by": "mean"}},
    ),
    QuestionAddress(
        "removed",
        questions.removed,
        "What the output at a token loses without each head of a layer",
        {**_EXPERIMENT, "layer 3": {"layer": 3}},
    ),
    Address(
        "map",
        maps.draw_map,
        "One head's space in two dimensions",
        {**_EXPERIMENT, "PCA of layer 3, head 5": {"layer": 3, "head": 5, "method": "pca"}},
    ),
    Address("map/{key}", others.map_work, "How far is a map that is being made?", method="GET"),
    Address("map/{key}", others.leave_map, "Wait for it no longer; where nobody does, it ends", method="DELETE"),
    Address(
        "map/{key}/points",
        others.points,
        "A map's points: float32, little-endian, x and y of each",
        method="GET",
        media=_BYTES,
    ),
    Address("take", others.take, "What a page's view can be taken away as", method="GET"),
    Address("take", others.prepare, "The same, and what its files need is read"),
    Address(
        "take/{name}",
        others.file,
        "A view as a file: CSV, SVG, HTML or Python",
        method="GET",
        media=tuple(taking.TYPES.values()),
    ),
    Address("ahead", others.ahead, "Have the next questions' answers made in idle time; waits for them", _EXPERIMENT),
    Address("survey", others.survey, "Which survey is open, and how far is the test?", method="GET"),
    Address(
        "survey",
        others.open_survey,
        "Open a finished survey of the server's own model",
        {"a directory": {"directory": "survey"}},
    ),
    Address("survey/test", others.test_model, "Test the server's own model on 60 texts; does not wait for it"),
    Address("survey/test", others.stop_test, "End the test; what was measured stays", method="DELETE"),
    Address("usual", others.usual, "How one layer's heads usually behave", {**_EXPERIMENT, **_IN_ITS_BASIS}),
    Address(
        "visit", others.visit, "A guided visit: what was measured of a text, with the views that show it", _EXPERIMENT
    ),
    Address(
        "survey/figures",
        others.figures,
        "The open survey by layer, and every head in one of its figures",
        {"Carry of every head": {"figure": "carry", "html": True}},
    ),
    Address("isolated", others.isolated, "How many tokens have been read alone?", method="GET"),
    Address("isolated", others.stop, "Wait for it no longer; where nobody does, it ends", method="DELETE"),
)


def offered_rows() -> list[Address]:
    """The addresses of what a reading answers by name and the table does not ask."""
    there = {row.path for row in TABLE}
    return [
        QuestionAddress(offer.name, offered.asking(offer), offer.says, _EXPERIMENT) for offer in offered.unasked(there)
    ]
