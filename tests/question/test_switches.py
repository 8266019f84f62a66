"""What is on or off is True or False, at every door of the library, and nothing that Python would take for one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.question.given import switch
from headscope.question.question import Question
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.probes import recovery
from headscope.studies.survey.options import SurveyOptions

ASKS: dict[str, Callable[[Scope, Any], object]] = {
    "position of nearest": lambda scope, on: scope.read(zoo.TEXT).nearest(1, position=on, k=2),
    "position of atlas": lambda scope, on: scope.read(zoo.TEXT).atlas(1, position=on),
    "position of written": lambda scope, on: scope.read(zoo.TEXT).written(position=on),
    "position of standing": lambda scope, on: scope.read(zoo.TEXT).standing(1, position=on),
    "position of portrait": lambda scope, on: scope.read(zoo.TEXT).portrait(1, position=on),
    "position of compare": lambda scope, on: (one := scope.read(zoo.TEXT)).compare(one, position=on),
    "position of journey": lambda scope, on: scope.read(zoo.TEXT).journey(2, position=on),
    "position of show": lambda scope, on: scope.read(zoo.TEXT).show("journey", position=on),
    "position of a question": lambda scope, on: Question(0, use_position=on),
    "isolated of journey": lambda scope, on: scope.read(zoo.TEXT).journey(2, isolated=on),
    "truncate of read": lambda scope, on: scope.read(zoo.TEXT, truncate=on),
    "truncate of read_many": lambda scope, on: scope.read_many([zoo.TEXT], truncate=on),
    "truncate of tokens": lambda scope, on: scope.tokens(zoo.TEXT, truncate=on),
    "residual of read_many": lambda scope, on: scope.read_many([zoo.TEXT], residual=on),
    "special of read": lambda scope, on: scope.read(zoo.TEXT, special=on),
    "truncate of a survey": lambda scope, on: SurveyOptions(truncate=on),
    "position of a survey": lambda scope, on: SurveyOptions(position=on),
    "stream of a survey": lambda scope, on: SurveyOptions(stream=on),
    "truncate of capacity": lambda scope, on: CapacityOptions(truncate=on),
    "heads of recovery": lambda scope, on: recovery(scope, zoo.CORPUS, heads=on),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("given", ["off", "no", 0, 1, None, torch.tensor([1, 2])], ids=repr)
def test_what_is_no_bool_is_refused(ask, given, scope_of):
    with pytest.raises(InputError, match="is True or False, not"):
        ask(scope_of("gpt2"), given)


@pytest.mark.parametrize("given", [True, False])
def test_numpys_bools_are_bools(given, scope_of):
    assert switch(np.bool_(given), "position") is given
    asked = scope_of("gpt2").read(zoo.TEXT).nearest(1, position=np.bool_(given), k=2).question
    assert asked.use_position is given
    assert SurveyOptions(stream=np.bool_(given)).to_dict()["stream"] is given


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda reading: reading.written(layer=None), "there is no layer None"),
        (lambda reading: reading.standing(layer=None), "there is no layer None"),
        (lambda reading: reading.map(layer=None), "name its layer"),
    ],
)
def test_one_layer_is_asked_about(ask, said, scope_of):
    with pytest.raises(InputError, match=said):
        ask(scope_of("gpt2").read(zoo.TEXT))


def test_a_space_that_there_is_not_does_not_move(scope_of):
    with pytest.raises(InputError, match="there is no space 'x'; open: value"):
        scope_of("gpt2").moves("x")


def test_a_survey_of_a_space_without_the_reference_is_refused_where_it_is_asked():
    with pytest.raises(InputError, match="the space key has none of the references isolated"):
        SurveyOptions(spaces=("key",), references=("isolated",))
    SurveyOptions(spaces=("key", "embedding"), references=("isolated", "layer"))
    SurveyOptions(spaces=("embedding",), references=("isolated",))
