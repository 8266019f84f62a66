"""The one question that every model is asked: sixty sentences, in the page's own view, beside untrained twins, as they
are and with the model's own attention."""

from __future__ import annotations

from pathlib import Path

from headscope.keep.cache import cache_directory
from headscope.keep.checksums import sha256_of
from headscope.keep.record import identity
from headscope.question.choices import Null
from headscope.scope import Scope
from headscope.studies.survey.manifest import asked_of
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey

SENTENCES = Path(__file__).parent / "sixty.txt"  # a blank line between two, so that each is a document
TEXTS = 60
NULLS: tuple[Null, ...] = ("random", "values")
# A shard is a few seconds of work: what a question of a reader interrupts is not much.
OPTIONS = SurveyOptions(references=("layer",), shard_positions=256)


def place_of(scope: Scope) -> Path:
    """Where the answer for a model's weights is kept in the user's cache, once it is there.

    Its name is made of all that the figures depend on. Raises InputError where there is no cache.
    """
    asked = asked_of(scope, OPTIONS.to_dict())
    model = {name: value for name, value in asked["model"].items() if name not in ("name", "revision")}
    asked = asked | {"model": model, "nulls": NULLS, "texts": sha256_of(SENTENCES)}
    return cache_directory() / "tested" / identity(asked)[:32]


def begun(scope: Scope) -> Survey:
    """The survey that answers it, in a directory beside that place; what was measured there before is kept."""
    place = place_of(scope)
    return Survey.prepare(scope, [SENTENCES], place.with_name(f"{place.name}-begun"), OPTIONS)
