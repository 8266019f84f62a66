"""Where the answer for a model is, if it is anywhere: in the user's cache, or among those that come with headscope."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from headscope.errors import InputError
from headscope.scope import Scope
from headscope.studies.tested.question import place_of

SENT_ALONG = Path(__file__).parent / "sent_along"  # a folder for each model, by its weights


def folder_of(weights_sha256: str) -> str:
    """What the folder of some weights is called there."""
    return weights_sha256[:16]


def there(scope: Scope) -> Path | None:
    """The figures of a model's weights; None where it has not been tested."""
    places = [SENT_ALONG / folder_of(scope.card.weights_sha256)]
    with suppress(InputError):  # no cache: then nothing is kept in it
        places.insert(0, place_of(scope))
    return next((place for place in places if place.is_dir()), None)
