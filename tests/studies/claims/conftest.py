from __future__ import annotations

from pathlib import Path

import pytest

from headscope import Scope
from tests.studies.claims.planted import planted
from tests.studies.survey.corpora import sentences, written


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random sentences, two a document."""
    return written(tmp_path_factory.mktemp("corpus") / "t.txt", sentences(30, seed=2, least=6, most=12), every=2)


@pytest.fixture(scope="module")
def scope() -> Scope:
    """A tiny model whose heads were built to make the claims true."""
    return planted()
