"""Whatever text is read, there is a reading whose numbers hold, or one sentence."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope import Scope
from headscope.errors import HeadscopeError
from headscope.keep.cache import cache_directory
from tests.hostile import laws

MODELS = ("bert", "roberta", "llama", "mpnet")
# What tokenizers trip over: marks without letters, halves of pairs, controls, what looks like a token, long words.
PIECES = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        [
            *(
                "\x00",
                "\ud83d",
                "\udce9",
                "\ufeff",
                "\u202e",
                "\u0301" * 50,
                "\u200d",
                "\U000e0041",
                "\r\n\t",
                "\x1b[2J",
            ),
            *("<pad>", "<s>", "</s>", "<unk>", "<mask>", "[PAD]", "[CLS]", "[unused0]", "##ing", "Ġ", "▁", "<0x0A>"),
            *("a" * 300, "é" * 200, "नमस्ते", "👩‍🚀", "time flies", "banana"),
        ]
    ),
)
TEXTS = st.lists(PIECES, max_size=8).map(" ".join)


@pytest.mark.parametrize("examples", [20, pytest.param(500, marks=pytest.mark.long)])
@pytest.mark.parametrize("model", MODELS)
def test_every_text_is_read_right_or_refused_in_a_sentence(
    scope_of: Callable[[str], Scope], model: str, examples: int
) -> None:
    scope = scope_of(model)

    @given(text=TEXTS)
    @settings(
        max_examples=examples, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
    )
    def every(text: str) -> None:
        with laws.in_time():
            try:
                reading = scope.read(text, truncate=True)
            except HeadscopeError as refused:
                laws.is_a_sentence(str(refused))
                return
            assert reading.z.isfinite().all()
            mixed = torch.einsum("lhqs,lshd->lqhd", reading.pattern, _for_heads(reading.v, reading.z.shape[2]))
            assert torch.allclose(mixed, reading.z, atol=1e-5)
            assert all(token.label for token in reading.tokens)
            last = len(reading.tokens) - 1
            # At layer 0 a token's own value is its encoding in the vocabulary.
            own = reading.nearest(last, layer=0, vector="v", metric="euclidean", k=1)
            assert float(own.own_distance.max()) <= 1e-4 * float(reading.v[0, last].norm(dim=-1).max())

    with laws.in_memory(), laws.nothing_run(cache_directory()):
        every()


def _for_heads(v: torch.Tensor, heads: int) -> torch.Tensor:
    """v [layer, position, kv_head, d_head] repeated for the heads that share it: [layer, position, head, d_head]."""
    return v.repeat_interleave(heads // v.shape[2], dim=2)
