"""What was said of one sentence, where its token can see nothing but itself."""

from __future__ import annotations

import pytest
import transformers
import zoo
from tokenizers import Tokenizer, models, pre_tokenizers

from headscope import Scope
from headscope.studies.claims.sentence import SentenceRead, on_the_way
from tests.studies.claims.planted import planted


@pytest.fixture(scope="module")
def decoder() -> Scope:
    """Twelve layers of eight heads, causal, and a tokenizer that puts nothing before "Time"."""
    words = ["Time", "flies", "like", "an", "arrow", ",", "fruit", "a", "banana", "<unk>"]
    tokenizer = Tokenizer(models.WordLevel({word: n for n, word in enumerate(words)}, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    fast = transformers.PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<unk>")
    config = transformers.GPT2Config(vocab_size=len(words), n_positions=40, n_embd=32, n_layer=12, n_head=8)
    return Scope.from_model(zoo.randomise(transformers.GPT2LMHeadModel(config)), fast)


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


@pytest.mark.slow
def test_a_special_token_before_it_is_something_to_see():
    found = rulings(planted(), "causal")
    assert found["S3"][0] == "holds"
    assert found["S4"][0] in ("holds", "contradicted")
