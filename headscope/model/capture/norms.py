"""Recognising a normalisation by calling it: its kind and its eps are measured, not read from attributes."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Norm:
    """N(y) = g ⊙ C y / sqrt(|C y|² / d + eps) + b, the last normalisation that v depends on.

    Centring: LayerNorm subtracts the mean (C = I − 11ᵀ/d), RMSNorm does not (C = I).
    """

    module: nn.Module
    nth: int  # which call of the module on the way to the attention
    centres: bool
    eps: float

    def centred(self, y: Tensor) -> Tensor:
        """C y, for y [..., d].

        >>> Norm(nn.Identity(), 0, centres=True, eps=0.0).centred(torch.tensor([1.0, 3.0]))
        tensor([-1.,  1.])
        """
        return y - y.mean(-1, keepdim=True) if self.centres else y

    def spread(self, y: Tensor) -> Tensor:
        """s(y) = sqrt(|C y|² / d + eps) float32 [..., 1], for y [..., d]."""
        return (self.centred(y).double().square().mean(-1, keepdim=True) + self.eps).sqrt().float()


def normalises(module: nn.Module, given: Tensor) -> bool:
    """Whether the module's output ignores the length of its input, and nothing more.

    Called on `given` [..., d] made long enough that no eps matters.
    """
    long = given / given.abs().amax().clamp_min(1e-30) * 1e3
    try:
        once, twice, turned = module(long), module(2 * long), module(-long)
    except Exception:  # a module of another kind, which takes other arguments
        return False
    if not isinstance(once, Tensor) or once.shape != given.shape:
        return False
    size = once.abs().amax()
    tolerance = 1e-3 * size if once.dtype == torch.float32 else 2e-2 * size
    constant = (once - turned).abs().amax() < 1e-2 * size
    return bool((once - twice).abs().amax() < tolerance) and not bool(constant)


def measure(module: nn.Module, nth: int, width: int, like: Tensor) -> Norm:
    """The norm's kind and eps, from its answers to one random vector [width] at many lengths."""
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(width, generator=generator).to(like)
    zero = module(torch.zeros_like(u)[None, None])[0, 0]

    def answer(vector: Tensor) -> Tensor:
        return module(vector[None, None])[0, 0] - zero  # type: ignore[no-any-return]

    # |u| is about sqrt(d): a mean of 10 added to every coordinate would change an uncentred answer tenfold.
    full = answer(1e3 * u)
    centres = bool((answer(1e3 * (u + 10)) - full).norm() < 0.1 * full.norm())
    centred = u - u.mean() if centres else u
    variance = float(centred.cpu().double().square().mean())
    eps = 0.0
    for exponent in range(0, -13, -1):
        length = 10.0 ** (exponent / 2)
        share = float(answer(length * u).cpu().double().norm() / full.cpu().double().norm())
        if share < 0.9:  # far enough into the range where eps counts for the quotient to tell it
            eps = variance * length**2 * (1 / share**2 - 1)
            break
    # eps is written in configurations as one or two decimal digits; float32 answers tell it to about five.
    return Norm(module, nth, centres, float(f"{eps:.2g}"))
