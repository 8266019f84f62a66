"""The reference of docs/ has every public name, and says of each what it is."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor

import headscope
from headscope.reading.answer import Answer

ROOT = Path(__file__).parents[1]
PAGES = {page.stem: page.read_text("utf-8") for page in sorted((ROOT / "docs" / "reference").glob("*.rst"))}
NAMED = [name for page in PAGES.values() for name in re.findall(r"^\.\. auto\w+:: (\S+)$", page, re.MULTILINE)]

# The public contract: what users, the page, the tests and the benchmarks call things.
CONTRACT = {
    "headscope.Scope": "from_pretrained from_model card read read_many tokens bank isolate weights use_lens memory",
    "headscope.model.card.Card": "name revision weights_sha256 layers heads kv_heads d_head d_model vocab_size "
    "positions causal capture_error why",
    "headscope.model.tokens.Token": "position id text label special span",
    "headscope.reading.reading.Reading": "pattern pattern_of nearest nearest_positions atlas attention written why "
    "work_out background compare map portrait standing journey mixing glance effects removed show",
    "headscope.reading.answer.Answer": "rows to_dict to_pandas to_html save",
    "headscope.reading.nearest.Neighbors": "ids distances ranks own_rank own_distance notes",
    "headscope.reading.positions.PositionNeighbors": "positions distances",
    "headscope.reading.atlas.Atlas": "ids distances own_rank",
    "headscope.reading.written.Written": "auc pattern",
    "headscope.studies.survey.run.Survey": "prepare plan run",
    "headscope.studies.claims.result.Claims": "model texts findings notes of under",
    "headscope.studies.capacity.result.Capacity": "sizes outcomes reproductions notes",
    "headscope.studies.capacity.run.Run": "prepare run",
    "headscope.studies.probes.LinearLens": "weight scores origin save load",
    "headscope.studies.probes.Recovery": "z heads residual offsets",
}


def found(name: str) -> Any:
    """What a dotted name stands for."""
    module, _, last = name.rpartition(".")
    return getattr(importlib.import_module(module), last)


def every_answer(of: type = Answer) -> set[type]:
    below = set(of.__subclasses__())
    return below.union(*(every_answer(one) for one in below))


@pytest.mark.parametrize("name", NAMED)
def test_what_it_names_is_there_and_says_what_it_is(name: str) -> None:
    thing = found(name)
    assert inspect.getdoc(thing), name
    if inspect.isclass(thing):
        for part in (part for part in vars(thing) if not part.startswith("_")):
            member = inspect.getattr_static(thing, part)
            if isinstance(member, (property, cached_property, classmethod, staticmethod)) or inspect.isfunction(member):
                assert inspect.getdoc(getattr(thing, part) if isinstance(member, classmethod) else member), part


def test_no_name_stands_in_it_twice() -> None:
    assert sorted(NAMED) == sorted(set(NAMED))


@pytest.mark.parametrize("name", CONTRACT)
def test_the_contract_is_in_it(name: str) -> None:
    assert name in NAMED
    (page,) = [text for text in PAGES.values() if f":: {name}\n" in text]
    assert ":members:" in page.split(f":: {name}\n")[1].split("\n\n")[0]
    thing = found(name)
    own = {field.name for field in fields(thing)} if is_dataclass(thing) else set()
    assert [part for part in CONTRACT[name].split() if part not in own and not hasattr(thing, part)] == []


@pytest.mark.parametrize("part", ["text", "tokens", "z", "q", "k", "v", "spots"])
def test_what_a_reading_holds_is_in_it(part: str) -> None:
    assert "headscope.reading.captured.Captured" in NAMED
    assert f"`{part}`" in str(inspect.getdoc(found("headscope.reading.captured.Captured")))


def test_every_answer_is_in_it() -> None:
    for module in pkgutil.walk_packages(headscope.__path__, "headscope."):
        if module.name.startswith(("headscope.reading.", "headscope.studies.")):
            importlib.import_module(module.name)
    of_headscope = {one for one in every_answer() if one.__module__.startswith("headscope.")}
    assert len(of_headscope) > 15
    assert of_headscope <= {found(name) for name in NAMED}


def _tensors_compared(kind: type) -> Iterator[str]:
    """The fields that `==` between two of a dataclass asks and that hold tensors, which have no one truth."""
    names = vars(importlib.import_module(kind.__module__))
    for field in fields(kind) if kind.__dataclass_params__.eq else ():  # type: ignore[arg-type, attr-defined]
        for word in re.findall(r"\w+", str(field.type)) if field.compare else ():
            part = names.get(word)
            if part is Tensor:
                yield field.name
            elif inspect.isclass(part) and is_dataclass(part) and part is not kind:
                yield from (f"{field.name}.{inner}" for inner in _tensors_compared(part))


@pytest.mark.parametrize("name", [name for name in NAMED if is_dataclass(found(name))])
def test_two_of_it_can_be_compared(name: str) -> None:
    assert list(_tensors_compared(found(name))) == []
