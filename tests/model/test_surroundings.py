"""Whatever the program around headscope has set in torch, the numbers are the same, and the settings are left alone."""

from __future__ import annotations

import threading
from contextlib import contextmanager, nullcontext

import pytest
import torch
import zoo

from headscope import Scope
from headscope.model.surroundings import surroundings
from headscope.studies.probes import fit_lens


@contextmanager
def set_to(change, back):
    change()
    try:
        yield
    finally:
        back()


SURROUNDINGS = {
    "autocast": lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    "default dtype float64": lambda: set_to(
        lambda: torch.set_default_dtype(torch.float64), lambda: torch.set_default_dtype(torch.float32)
    ),
    "default dtype bfloat16": lambda: set_to(
        lambda: torch.set_default_dtype(torch.bfloat16), lambda: torch.set_default_dtype(torch.float32)
    ),
    "default device": lambda: set_to(lambda: torch.set_default_device("meta"), lambda: torch.set_default_device("cpu")),
    "a device context": lambda: torch.device("meta"),
    "inference mode": torch.inference_mode,
    "gradients": torch.enable_grad,
    "no gradients": torch.no_grad,
    "deterministic algorithms": lambda: set_to(
        lambda: torch.use_deterministic_algorithms(True), lambda: torch.use_deterministic_algorithms(False)
    ),
    "coarse float32 products": lambda: set_to(
        lambda: torch.set_float32_matmul_precision("medium"), lambda: torch.set_float32_matmul_precision("highest")
    ),
}


def settings():
    return (
        torch.get_default_dtype(),
        torch.empty(0).device,
        torch.is_autocast_enabled("cpu"),
        torch.is_grad_enabled(),
        torch.is_inference_mode_enabled(),
        torch.get_float32_matmul_precision(),
        torch.are_deterministic_algorithms_enabled(),
    )


def everything(model, tokenizer, then=nullcontext):
    """Numbers from all parts: a reading, each space, a bank, a map, a lens, the projections."""
    with then():
        before = settings()
        scope = Scope.from_model(model, tokenizer)
        reading = scope.read(zoo.TEXT)
        found = [reading.z, reading.residual, scope.weights(1).w_o]
        for space in ("value", "output", "key", "query", "embedding", "unembedding"):
            near = reading.nearest([1, 2], 1, space)
            found += [near.ids, near.distances]
        near = reading.nearest(2, 1, reference="isolated")
        background = reading.background(near, scope.bank(zoo.CORPUS, size=20))
        found += [near.distances, background.scores, reading.mixing().norms, reading.effects(2).moved]
        found += [reading.map(1, 0, method="pca", size=120).vocabulary]
        lens = fit_lens(scope, zoo.CORPUS * 3, folds=3)
        scope.use_lens(lens)
        found += [lens.weight, scope.read(zoo.TEXT, "full").nearest(2, 1, "fitted").distances]
        assert settings() == before
    return found


@pytest.fixture(scope="module")
def plain():
    return everything(*zoo.build("gpt2"))


@pytest.mark.long
@pytest.mark.parametrize("name", sorted(SURROUNDINGS))
def test_the_numbers_are_the_same(name, plain):
    model, tokenizer = zoo.build("gpt2")
    found = everything(model, tokenizer, SURROUNDINGS[name])
    for got, expected in zip(found, plain, strict=True):
        assert got.dtype == expected.dtype
        assert got.device == expected.device
        torch.testing.assert_close(got, expected, atol=2e-5, rtol=1e-4)


def test_what_was_made_in_inference_mode_serves_outside_of_it():
    model, tokenizer = zoo.build("bert")
    with torch.inference_mode():
        scope = Scope.from_model(model, tokenizer)
        reading = scope.read(zoo.TEXT)
        near = reading.nearest(2)
    reading.z.add_(0)  # a plain tensor
    assert torch.equal(scope.read(zoo.TEXT).nearest(2).distances, near.distances)


def test_threads_that_leave_one_after_the_other_put_the_settings_back_once():
    entered, leave = threading.Event(), threading.Event()

    def stay():
        with surroundings():
            entered.set()
            leave.wait(10)

    torch.set_default_dtype(torch.float64)
    try:
        thread = threading.Thread(target=stay)
        thread.start()
        entered.wait(10)
        with surroundings():
            assert torch.get_default_dtype() == torch.float32
        assert torch.get_default_dtype() == torch.float32  # the other is still at work
        leave.set()
        thread.join()
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
