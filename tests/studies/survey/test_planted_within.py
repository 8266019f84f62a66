"""Heads that were built to write the attended token or something else: Own, Carry and their contrasts say which."""

from __future__ import annotations

import math

import pyarrow.parquet as pq
import pytest
import torch
import zoo

from headscope import Scope
from headscope.inference.verdicts import MARGIN
from tests.angled import angled, attending
from tests.studies.survey.corpora import sentences, surveyed, written

OWN, PREVIOUS, EVERYWHERE, ELSEWHERE = range(4)
POSITIONS = 80
TURN = 2 * math.pi / POSITIONS


def planted() -> Scope:
    """A tiny BERT whose layer 0 has a head that copies its own token, and one that copies the token before.

    The third attends to all alike; the fourth attends to the token before, and writes where that stands. Four
    dimensions hold the position's angle, the others the token, so that LayerNorm does the same to every token.
    """
    model, tokenizer = zoo.build("bert", shape={"max_position_embeddings": POSITIONS})
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        attention = angled(model, slice(4, 32), POSITIONS, draw)
        attention.value.bias.zero_()
        attention.value.weight.copy_(torch.randn(32, 32, generator=draw))
        attention.value.weight[:, :4] = 0  # values tell nothing of the position
        attention.value.weight[ELSEWHERE * 8 :, :4] = torch.randn(8, 4, generator=draw)
        attention.value.weight[ELSEWHERE * 8 :, 4:] *= 0.001  # nor, of this head, more than a trace of the token
        for head, turn in ((OWN, 0.0), (PREVIOUS, TURN), (ELSEWHERE, TURN)):
            attending(attention, head, turn, 50)
    return Scope.from_model(model, tokenizer)


def contrasts(directory):
    """contrasts.parquet of the model itself as pandas."""
    found = pq.read_table(directory / "contrasts.parquet").to_pandas()
    return found[found["null"].isna() & found["head"].notna() & found.statistic.isin(["own", "carry"])]


def above(directory, statistic, mask, between="even"):
    """Which heads of layer 0 are surely above even attention, or untrained twins, and by no small difference."""
    found = contrasts(directory)
    found = found[(found.layer == 0) & (found.statistic == statistic) & (found["mask"] == mask)]
    found = found[(found.between == between) & (found.q_above <= 0.05) & (found.difference >= MARGIN)]
    return set(found["head"].astype(int))


@pytest.mark.slow
@pytest.mark.parametrize("tokens", [8, 60])
def test_own_and_carry_say_what_a_head_writes(tokens, tmp_path):
    texts = sentences(40, seed=5, least=tokens - 1, most=tokens - 1)
    directory = surveyed(
        planted(), written(tmp_path / "t.txt", texts), tmp_path / "s", masks=("model", "causal"), references=("layer",)
    )
    for mask in ("model", "causal"):
        assert above(directory, "own", mask) == {OWN}
        assert above(directory, "carry", mask) == {OWN, PREVIOUS}
        even = contrasts(directory)
        even = even[
            (even.between == "even") & (even.layer == 0) & (even["head"] == EVERYWHERE) & (even["mask"] == mask)
        ]
        assert even.difference.abs().max() < 1e-5


@pytest.mark.slow
def test_so_do_the_contrasts_with_untrained_twins(tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=5, least=7, most=7))
    directory = surveyed(planted(), path, tmp_path / "s", ("random",), references=("layer",))
    assert above(directory, "own", "model", "random") == {OWN}
    assert above(directory, "carry", "model", "random") == {OWN, PREVIOUS}


def claimed(directory):
    """Heads that are above both even attention and untrained twins."""
    found = contrasts(directory)
    sure = found[found.q_above <= 0.05].set_index(["layer", "head", "statistic", "reference"])
    return set(sure[sure.between == "even"].index) & set(sure[sure.between == "random"].index)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["bert", pytest.param("llama", marks=pytest.mark.long)])
def test_nothing_is_claimed_of_an_untrained_model(scope_of, name, tmp_path):
    path = written(tmp_path / "t.txt", sentences(40, seed=6))
    directory = surveyed(scope_of(name).randomised(77), path, tmp_path / "s", ("random",))
    assert set(contrasts(directory).between) == {"even", "random", "reference"}
    assert claimed(directory) == set()


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("bert", marks=pytest.mark.long), "llama"])
def test_nothing_is_claimed_of_a_model_that_attends_to_all_alike(name, tmp_path):
    model, tokenizer = zoo.build(name)
    with torch.no_grad():
        for weights in (
            parameter
            for where, parameter in model.named_parameters()
            if any(part in where for part in (".query.", "q_proj"))
        ):
            weights.zero_()
    path = written(tmp_path / "t.txt", sentences(40, seed=6))
    directory = surveyed(Scope.from_model(model, tokenizer), path, tmp_path / "s", ("random",))
    found = contrasts(directory)
    assert found[found.between == "even"].difference.abs().max() < 1e-5
    assert claimed(directory) == set()
