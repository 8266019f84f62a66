"""Token Signal against its definition, written out."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.corpus.genres import TextTypes
from headscope.studies.survey import signal
from headscope.studies.survey.signal import SETS, Sets


def texts_of(draw: np.random.Generator, count: int, vocabulary: int, longest: int) -> list[TextTypes]:
    """Types of texts whose words are few and common: they share many."""
    common = 1 / np.arange(1, vocabulary + 1)
    return [
        TextTypes(n, n, np.unique(draw.choice(vocabulary, size=draw.integers(1, longest), p=common / common.sum())))
        for n in range(count)
    ]


def pairs(sets: Sets, n: int) -> list[tuple[list[int], list[int]]]:
    """The sets of one text as lists of ids: the text's side, the distractor's."""
    at, counts = int(sets.starts[n]), sets.counts[n].tolist()
    found: list[tuple[list[int], list[int]]] = [([], []) for _ in range(counts[0])]
    for count in counts:
        for side in (0, 1):
            for s in range(count):
                found[s][side].append(int(sets.types[sets.members[at]]))
                at += 1
    return found


@pytest.mark.slow
@given(st.integers(0, 10**6), st.integers(2, 140), st.integers(3, 200))
@settings(max_examples=20, deadline=None)
def test_sets_are_equal_draws_of_what_the_two_texts_do_not_share(seed, count, longest):
    texts = texts_of(np.random.default_rng(seed), count, 80, longest)
    sets = Sets.draw(texts, texts, seed)
    types = [set(text.types.tolist()) for text in texts]
    for n in range(0, count, 7):
        found = pairs(sets, n)
        fitting = [other for m, other in enumerate(types) if m != n and types[n] - other and other - types[n]]
        assert len(found) == min(SETS, len(fitting)) or (count > SETS and len(found) <= SETS)
        for ours, theirs in found:
            assert len(ours) == len(set(ours)) == len(theirs) == len(set(theirs))
            assert any(
                set(ours) <= types[n] - other
                and set(theirs) <= other - types[n]
                and len(ours) == min(len(types[n] - other), len(other - types[n]))
                for other in fitting
            )


def test_distractors_are_of_other_documents():
    draw = np.random.default_rng(0)
    texts, others = (
        texts_of(draw, 5, 300, 12),
        [one._replace(text=7, document=7) for one in texts_of(draw, 128, 300, 12)],
    )
    assert (Sets.draw(texts, others, 0).counts[:, 0] > 80).all()
    assert not Sets.draw([one._replace(document=7) for one in texts], others, 0).counts.any()


@pytest.mark.parametrize("size", [None, signal.SIZED])
def test_a_text_has_the_same_sets_of_its_genre_whichever_genres_stand_beside_it(size):
    """A shard's pool has the distractors of the genres that are in the shard: longer ones of another moved the draw."""
    draw = np.random.default_rng(5)
    texts, own = texts_of(draw, 6, 300, 40), [one._replace(document=-1) for one in texts_of(draw, 60, 300, 40)]
    longer = [one._replace(document=-2) for one in texts_of(draw, 60, 300, 90)]
    alone = Sets.draw(texts, own, 1, size, np.ones((6, 60), dtype=bool))
    for pool, at in ((own + longer, 0), (longer + own, 60)):
        among = np.zeros((6, 120), dtype=bool)
        among[:, at : at + 60] = True
        beside = Sets.draw(texts, pool, 1, size, among)
        assert alone.counts.any()
        assert [pairs(beside, n) for n in range(6)] == [pairs(alone, n) for n in range(6)]


def test_a_text_has_the_same_sets_whichever_texts_stand_beside_it():
    draw = np.random.default_rng(3)
    texts, others = texts_of(draw, 9, 300, 20), [one._replace(document=-1) for one in texts_of(draw, 128, 300, 30)]
    for size in (None, 4):
        whole, part = Sets.draw(texts, others, 0, size), Sets.draw(texts[4:6], others, 0, size)
        assert [pairs(whole, n) for n in (4, 5)] == [pairs(part, n) for n in (0, 1)]


def test_sets_of_a_stated_size_have_it_and_smaller_ones_are_left_out():
    texts = texts_of(np.random.default_rng(4), 40, 80, 30)
    free, sized = Sets.draw(texts, texts, 0), Sets.draw(texts, texts, 0, 6)
    for n in range(len(texts)):
        assert {len(side) for both in pairs(sized, n) for side in both} <= {6}
        assert len(pairs(sized, n)) == sum(len(ours) >= 6 for ours, _ in pairs(free, n))


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_signal_is_that_of_the_definition(backend, monkeypatch):
    if backend == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(signal, "backend_in_use", lambda: backend)
    draw = np.random.default_rng(1)
    texts = texts_of(draw, 30, 60, 15)
    texts[3] = texts[4] = TextTypes(3, 3, np.array([0, 1]))  # nothing to tell these two apart
    sets = Sets.draw(texts, texts, 0)
    text = torch.tensor([0, 3, 8, 8, 29])
    # Rounded, so that some scores tie.
    scores = torch.randn(3, 5, len(sets.types), generator=torch.Generator().manual_seed(0)).mul(2).round()
    got = sets.signals(scores, text)
    place = {int(id): at for at, id in enumerate(sets.types)}
    for row, n in enumerate(text.tolist()):
        for head in range(3):
            won = []
            for ours, theirs in pairs(sets, n):
                best = [max(float(scores[head, row, place[id]]) for id in side) for side in (ours, theirs)]
                won.append(1.0 if best[0] > best[1] else 0.5 if best[0] == best[1] else 0.0)
            assert got[row, head] == pytest.approx(2 * np.mean(won) - 1, abs=1e-6)


@pytest.mark.parametrize("backend", ["torch", "numba"])
def test_a_text_without_a_set_has_no_signal(backend, monkeypatch):
    monkeypatch.setattr(signal, "backend_in_use", lambda: backend)
    alike = [TextTypes(n, n, np.array([1, 2])) for n in (0, 1)]
    sets = Sets.draw(alike, alike, 0)
    assert sets.signals(torch.ones(2, 1, 2), torch.tensor([0])).isnan().all()


@pytest.mark.parametrize("vocabulary", [40, 2000])
def test_the_signal_of_noise_is_zero_also_where_texts_share_many_types(vocabulary):
    draw = np.random.default_rng(2)
    texts = texts_of(draw, 300, vocabulary, 25)
    sets = Sets.draw(texts, texts, 0)
    scores = torch.randn(4, 300, len(sets.types), generator=torch.Generator().manual_seed(1))
    found = sets.signals(scores, torch.arange(300)).double()
    mean, error = found.nanmean(0), (found - found.nanmean(0)).square().nanmean(0).sqrt() / 300**0.5
    assert (mean.abs() < 3 * error).all()
    assert (mean.abs() < 0.1).all()


_OF_A_PROCESS = """
import torch
from headscope.studies.survey.signal import Sets

sets = Sets(torch.arange(4), torch.tensor([0, 1, 2, 3], dtype=torch.int32), torch.tensor([0]), torch.tensor([[2]]))
print(sets.signals(torch.tensor([[[4.0, 1.0, 3.0, 2.0]]]), torch.tensor([0])).tolist())
"""


@pytest.mark.slow
def test_what_numba_keeps_and_is_damaged_ends_no_survey(tmp_path):
    pytest.importorskip("numba")
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "OMP_NUM_THREADS": "1"}

    def run():
        return subprocess.run(
            [sys.executable, "-c", _OF_A_PROCESS], env=environment, capture_output=True, text=True, check=False
        )

    whole = run()
    assert (whole.returncode, whole.stdout, whole.stderr) == (0, "[[0.0]]\n", "")
    kept = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert kept
    for path in kept:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    damaged = run()
    assert (damaged.returncode, damaged.stdout) == (0, whole.stdout), damaged.stderr
    assert "so torch does the work, which is slower" in damaged.stderr
    assert f"Remove what numba keeps in {tmp_path}" in damaged.stderr
