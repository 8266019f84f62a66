"""Which choices go together, and what is said of those that do not."""

from __future__ import annotations

import itertools
from typing import get_args

import pytest
import zoo

from headscope.errors import InputError
from headscope.question.choices import OPEN_REFERENCES, OPEN_VECTORS, REFERENCES, SPACES, Vector


@pytest.mark.parametrize(
    ("space", "reference", "vector"), list(itertools.product(SPACES[:-1], (None, *REFERENCES), get_args(Vector)))
)
def test_every_combination_is_answered_or_refused_with_the_open_choices(space, reference, vector, scope_of):
    reading = scope_of("gpt2").read(zoo.TEXT)
    if vector in OPEN_VECTORS[space] and (reference is None or reference in OPEN_REFERENCES[space]):
        near = reading.nearest(2, 1, space, reference, k=2, vector=vector)
        assert near.question.reference == (reference or ("layer" if OPEN_REFERENCES[space] else None))
        return
    with pytest.raises(InputError) as refused:
        reading.nearest(2, 1, space, reference, k=2, vector=vector)
    refuses_reference = reference is not None and reference not in OPEN_REFERENCES[space]
    open_ones = OPEN_REFERENCES[space] if refuses_reference else OPEN_VECTORS[space]
    said = str(refused.value)
    assert all(choice in said for choice in open_ones) or "leave the reference out" in said


def test_the_vocabulary_stands_only_where_the_model_has_positions(scope_of):
    reading = scope_of("gpt2").read(zoo.TEXT)
    assert reading.nearest(2, 1, at=39, k=1).question.at == 39
    with pytest.raises(InputError, match="0 to 39"):
        reading.nearest(2, 1, at=40, k=1)
