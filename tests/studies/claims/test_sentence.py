"""What was said of one sentence, where its token can see nothing but itself."""

from __future__ import annotations

import copy

import pytest
import torch
import transformers
import zoo
from tokenizers import Tokenizer, models, pre_tokenizers

from headscope import Scope
from headscope.studies.claims.sentence import HEAD, SentenceRead, on_the_way
from tests.studies.claims.planted import planted


@pytest.fixture(scope="module")
def parts() -> tuple[transformers.PreTrainedModel, transformers.PreTrainedTokenizerFast]:
    """Twelve layers of eight heads, causal, and a tokenizer that puts nothing before "Time"."""
    words = ["Time", "flies", "like", "an", "arrow", ",", "fruit", "a", "banana", "<unk>"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<unk>")
    config = transformers.GPT2Config(vocab_size=len(words), n_positions=40, n_embd=32, n_layer=12, n_head=8)
    return zoo.randomise(transformers.GPT2LMHeadModel(config)), fast


@pytest.fixture(scope="module")
def decoder(parts) -> Scope:
    return Scope.from_model(*parts)


def rulings(scope: Scope, mask: str) -> dict[str, tuple[str, str]]:
    found = [*SentenceRead.read(scope, "right", mask).findings(), on_the_way(scope, mask)]
    return {one.claim: (one.ruling, one.found) for one in found}


def test_a_token_that_sees_only_itself_is_trivially_its_own_nearest(decoder):
    found = rulings(decoder, "model")
    for id in ("S3", "S4", "B1"):
        assert found[id][0] == "not applicable"
        assert "can see only itself" in found[id][1]


@pytest.mark.slow
def test_the_same_model_without_its_mask_is_asked(decoder):
    found = rulings(decoder, "full")
    assert {found[id][0] for id in ("S3", "S4", "B1")} <= {"holds", "contradicted"}


def test_a_head_that_tells_no_token_from_another_has_no_rank_there(parts):
    model, tokenizer = copy.deepcopy(parts)
    with torch.no_grad():
        for block in model.transformer.h:  # head 7's values, in every layer
            block.attn.c_attn.weight[:, 64 + 4 * HEAD : 64 + 4 * HEAD + 4] = 0
    read = SentenceRead.read(Scope.from_model(model, tokenizer), "right", "full")
    found = {one.claim: one for one in read.findings()}
    assert found["S3"].ruling == "not applicable"
    assert "tells no token from another" in found["S3"].found
    assert min(row["least_own_rank"] for row in found["S4"].figures) > 0
    assert f"of {11 * 7} heads" in found["S4"].found


@pytest.mark.slow
def test_a_special_token_before_it_is_something_to_see():
    found = rulings(planted(), "causal")
    assert found["S3"][0] == "holds"
    assert found["S4"][0] in ("holds", "contradicted")
