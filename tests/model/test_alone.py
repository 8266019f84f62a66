"""A token read alone is what the model's own run of a text of that token gives, in every layer."""

from __future__ import annotations

import pytest
import torch
from tokenizers import Regex, normalizers

from headscope import Scope
from headscope.errors import ModelError
from headscope.model.capture.runner import Text
from headscope.model.feed.alone import Frame, frame_of, values_alone


@pytest.mark.parametrize(
    ("of", "frame"),
    [
        ("bert", Frame((3,), (4,))),
        ("roberta", Frame((0,), (2,))),
        ("gpt2", Frame((), ())),
        ("llama", Frame((0,), ())),
        ("t5/decoder", Frame((1, 0), (2,))),
    ],
)
def test_the_frame_is_what_the_tokenizer_adds_and_a_decoders_start(scope_of, of, frame):
    assert frame_of(scope_of(of).bench.opened) == frame


def test_a_tokenizer_that_makes_no_tokens_has_no_frame(build):
    model, tokenizer = build("bert")
    tokenizer.backend_tokenizer.normalizer = normalizers.Replace(Regex("."), "")
    with pytest.raises(ModelError, match="references input and layer are open"):
        frame_of(Scope.from_model(model, tokenizer).bench.opened)


def test_values_are_those_of_a_run_of_the_token_by_itself(scope):
    opened = scope.bench.opened
    frame, size = frame_of(opened), opened.feed.vocab_size
    ids = torch.cat([torch.arange(0, size - 1, size // 12), torch.tensor([size - 1])])
    values = values_alone(opened, ids, frame)
    assert values.dtype == torch.float32
    for n, id in enumerate(ids.tolist()):
        read = [*frame.before[1:], id, *frame.after] if opened.stack.encoder is not None else None
        one = opened.run([Text(frame.around(id), context=read)])[0]
        expected = one.v[:, frame.position]  # (layer, kv_head, d_head)
        finite = expected.isfinite().all()
        assert finite == values[:, :, n].isfinite().all()
        if finite:
            assert torch.allclose(values[:, :, n], expected, atol=3e-6 * float(expected.abs().amax()))


@pytest.mark.parametrize("of", ["bert", "gpt2", "llama", "bart/decoder"])
def test_they_are_those_of_a_reading_of_its_text(scope_of, of):
    scope = scope_of(of)
    reading, frame = scope.read("e"), frame_of(scope.bench.opened)
    id = reading.tokens[frame.position].id
    assert len(reading.tokens) == len(frame.around(id))
    expected = reading.v[:, frame.position]
    assert torch.allclose(values_alone(scope.bench.opened, torch.tensor([id]), frame)[:, :, 0], expected, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("of", ["bert", "roberta", "gpt2", "llama", "albert", "gptj"])
def test_half_precision_weights_compute_in_float32(build, of, dtype):
    model, tokenizer = build(of)
    half = Scope.from_model(model.to(dtype), tokenizer).bench.opened
    ids, frame = torch.arange(0, half.feed.vocab_size, 7), frame_of(half)
    got = values_alone(half, ids, frame)
    assert half.model.dtype == dtype
    expected = values_alone(Scope.from_model(model.float(), tokenizer).bench.opened, ids, frame)
    assert torch.allclose(got, expected, atol=1e-6 * float(expected.abs().amax()))
