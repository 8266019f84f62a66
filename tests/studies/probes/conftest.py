from __future__ import annotations

import pytest

from headscope import Scope
from headscope.studies.probes import LinearLens, fit_lens
from tests.studies.probes.planted import planted
from tests.studies.survey.corpora import sentences


@pytest.fixture(scope="session")
def texts() -> list[str]:
    return sentences(90, seed=4, least=6, most=14)


@pytest.fixture(scope="session")
def built() -> Scope:
    """The planted model; shared, so put no lens into use without taking it out again."""
    return planted()


@pytest.fixture(scope="session")
def own(built: Scope, texts: list[str]) -> LinearLens:
    """A lens to the own token."""
    return fit_lens(built, texts, name="planted.txt")


@pytest.fixture(scope="session")
def sources(built: Scope, texts: list[str]) -> LinearLens:
    """A lens to the sources."""
    return fit_lens(built, texts, target="sources")
