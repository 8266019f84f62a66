"""A linear lens: for every layer and head a ridge map from z to token embeddings, and the file that keeps it."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from headscope.errors import InputError
from headscope.keep.cache import cache_directory
from headscope.keep.files import file_to_write, write_file
from headscope.keep.paths import path_of
from headscope.keep.remote import refuse_remote
from headscope.model.card import Card
from headscope.question.choices import MASKS, TARGETS, Mask, Target
from headscope.question.notes import fitted_by, fitted_scores
from headscope.question.shown import Summarised
from headscope.reading.answer import Answer, Record
from headscope.reading.scores import FIGURES, STARRED, Controlled, Scores, nested
from headscope.show.sheet import Cell, Row, Sheet
from headscope.vocabulary.fitted import Fitted

SCHEMA = 1
_WHAT: dict[Target, str] = {"own": "own token", "sources": "strongest source"}


@dataclass(frozen=True, repr=False)
class Origin(Summarised):
    """What a lens was made of: whose weights, which texts, which choices, which versions."""

    model: str
    weights_sha256: str
    texts: str  # where they come from
    texts_sha256: str
    count: int  # of texts
    positions: int  # that are not special
    target: Target
    mask: Mask
    folds: int
    seed: int
    versions: dict[str, str]


@dataclass(frozen=True, repr=False, eq=False)
class LinearLens(Answer):
    """A ridge map for every head, from its z to the own token's input embedding, or to its sources' (see `fit_lens`).

    z ↦ (z − mean) W + target_mean. weight float32 [layer, head, d_head, d_model]; mean [layer, head, d_head];
    target_mean [layer, head, d_model]; centre [d_model], the mean embedding of the texts' tokens; alpha [layer, head],
    the penalties. `scores`: Scores [layer, head] on texts and token types that were held out, with retrieval among the
    whole vocabulary.
    """

    weight: Tensor
    mean: Tensor
    target_mean: Tensor
    centre: Tensor
    alpha: Tensor
    scores: Scores
    origin: Origin

    def __call__(self, z: Tensor, layer: int) -> Tensor:
        """The embeddings that z [..., head, d_head] of a layer is taken to: float32 [..., head, d_model]."""
        moved = (z - self.mean[layer]).double()
        found = torch.einsum("...hd,hdm->...hm", moved, self.weight[layer].double()) + self.target_mean[layer]
        return found.float()

    def rows(self) -> list[Record]:
        """One row for each layer and head: its penalty, and every score, its interval and its control."""
        layers, heads = self.alpha.shape
        return [
            {"layer": layer, "head": head, "alpha": float(self.alpha[layer, head])} | self.scores.row(layer, head)
            for layer in range(layers)
            for head in range(heads)
        ]

    def to_dict(self) -> Record:
        """What it was fitted on, and every head's scores, ready for JSON."""
        made = self.origin
        texts = {"source": made.texts, "sha256": made.texts_sha256, "count": made.count, "positions": made.positions}
        return {
            "schema": SCHEMA,
            "model": {"name": made.model, "weights_sha256": made.weights_sha256},
            "texts": texts,
            "target": made.target,
            "mask": made.mask,
            "folds": made.folds,
            "seed": made.seed,
            "versions": made.versions,
            "heads": [nested(row) for row in self.rows()],
        }

    def sheets(self) -> tuple[Sheet, ...]:
        """Every head's scores on what was held out, each with its interval, and the control's beside it."""
        layers, heads = self.alpha.shape
        rows = (
            Row(
                Cell(f"L{layer}H{head}"),
                tuple(
                    cell for name in FIGURES for cell in _cells(getattr(self.scores, name), name == "r2", layer, head)
                ),
            )
            for layer in range(layers)
            for head in range(heads)
        )
        sheet = Sheet(
            "lens",
            f"Linear lens: the {_WHAT[self.origin.target]} read off each head's z, on held-out texts and token types",
            tuple(title for name in ("top-1", "top-10", "R²") for title in (name, "95 %", "shuffled")),
            tuple(rows),
            stub="head",
            legend=(self._judged(), f"Shuffled: the control, whose token labels are permuted. {STARRED}"),
            together=3,
            figure="cells",
        )
        return (sheet,)

    def _judged(self) -> str:
        """What the scores are of."""
        made, held = self.origin, self.scores.samples
        least, most = int(held.min()), int(held.max())
        return (
            f"{made.model}, {made.count:,} texts ({made.texts}), {made.positions:,} ordinary tokens, mask {made.mask}; "
            f"{made.folds} folds that share neither texts nor token types with the fit, judged at {least:,}"
            + (f" to {most:,}" if most > least else "")
            + " positions; nearest of the whole vocabulary by cosine."
        )

    @property
    def maps(self) -> Fitted:
        """What the space `fitted` needs of it."""
        return Fitted(self.weight, self.mean, self.centre)

    def check(self, card: Card) -> None:
        """Raise InputError where the lens was fitted on other weights than those of `card`."""
        if self.origin.weights_sha256 != card.weights_sha256:
            raise InputError(
                f"the lens was fitted on {self.origin.model} with the weights {self.origin.weights_sha256}, and "
                f"{card.name} has {card.weights_sha256}: fit one on this model (headscope lens TEXTS -o FILE)."
            )

    def notes(self, layer: int | None, mask: Mask) -> tuple[str, ...]:
        """What a reader of the space `fitted` must see: what it was fitted on, and how far it holds."""
        made, here = self.origin, slice(None) if layer is None else layer
        scores = self.scores.each(lambda values: values[here].flatten())
        said = [fitted_by(made.target, made.count, made.positions, made.texts, made.mask, mask)]
        above = scores.top10.above | scores.r2.above
        names = [f"L{n // self.mean.shape[1]}H{n % self.mean.shape[1]}" for n in range(len(above))]
        if layer is not None:
            names = [f"L{layer}H{n}" for n in range(len(above))]
        weak = [name for name, holds in zip(names, above.tolist(), strict=True) if not holds]
        figures = [(scores.top1.value, scores.top1.control), (scores.top10.value, scores.top10.control)]
        figures.append((scores.r2.value, scores.r2.control))
        told = [(float(v.min()), float(v.max()), float(v.mean()), float(c.mean())) for v, c in figures]
        return (*said, fitted_scores(made.target, layer, told[0], told[1], told[2], weak, len(names)))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a safetensors file, which `load` reads; or by the ending what it says, as every answer does.

        Whole or not at all; InputError where it cannot be written.
        """
        if path_of(path, "the lens to write").suffix.lower() in self.formats():
            return super().save(path)
        return self.keep(path)

    def keep(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a safetensors file, whatever its ending; see `save`."""
        place = file_to_write(path)
        tensors = {name: getattr(self, name) for name in ("weight", "mean", "target_mean", "centre", "alpha")}
        tensors["samples"] = self.scores.samples
        for name in FIGURES:
            tensors |= {f"{name}.{part}": values for part, values in getattr(self.scores, name).__dict__.items()}
        told = json.dumps({"schema": SCHEMA, "lens": asdict(self.origin)}, ensure_ascii=False)
        tensors = {name: tensor.contiguous() for name, tensor in tensors.items()}
        kept = save(tensors, {"headscope": told, "sha256": _sum_of(told, tensors)})
        write_file(place, kept)
        return Path(path)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> LinearLens:
        """Read a lens from its file; InputError where that is none."""
        refuse_remote([path], "lenses are")
        if not path_of(path, "the lens").is_file():
            raise InputError(f"there is no file {str(path)!r}: make a lens with headscope lens TEXTS -o FILE.")
        try:
            with safe_open(path, framework="pt") as file:
                about = file.metadata() or {}
                told = json.loads(about.get("headscope", "{}"))
                if not isinstance(told, dict) or told.get("schema") != SCHEMA or "lens" not in told:
                    raise InputError(f"{path} is no lens that this version of headscope can read.")
                found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        except (OSError, SafetensorError, ValueError, RecursionError) as error:
            raise InputError(f"{path} is no lens: {error}.") from None
        # Lenses of before have no checksum.
        if "sha256" in about and about["sha256"] != _sum_of(about["headscope"], found):
            raise InputError(f"{path} is a damaged lens: it is not what was written. Fit it again (headscope lens).")
        try:
            top1, top10, r2 = (
                Controlled(*(found[f"{name}.{part}"] for part in Controlled.__annotations__)) for name in FIGURES
            )
            lens = cls(
                found["weight"],
                found["mean"],
                found["target_mean"],
                found["centre"],
                found["alpha"],
                Scores(top1, top10, r2, found["samples"]),
                Origin(**told["lens"]),
            )
        except (KeyError, TypeError) as error:
            raise InputError(f"{path} is a damaged lens: {error}.") from None
        fault = _tensors_fault(found) or _origin_fault(lens.origin)
        if fault is not None:
            raise InputError(f"{path} is a damaged lens: {fault}.")
        return lens


def _cells(figure: Controlled, unbounded: bool, *at: int) -> tuple[Cell, Cell, Cell]:
    """A value, its interval, and the control's value: shares in per cent, R² (`unbounded`) as it is."""
    value, low, high, control = (float(part[at]) for part in (figure.value, figure.low, figure.high, figure.control))
    if not isfinite(value):  # nothing was held out
        return Cell(number="–"), Cell(number="–"), Cell(number="–")
    if unbounded:
        shown, ends, by_chance = _r2(value), f"{_r2(low)}–{_r2(high)}", _r2(control)
    else:
        low, high = (round(end, 2) + 0.0 for end in (low, high))  # no −0
        shown, ends, by_chance = f"{value:.1%}", f"{low:.0%}–{high:.0%}".replace("%–", "–"), f"{control:.1%}"
    return figure.cell(shown, *at), Cell(number=ends), Cell(number=by_chance)


def _r2(value: float) -> str:
    return f"{round(value, 3) + 0.0:.3f}"  # no −0


def _tensors_fault(found: Mapping[str, Tensor]) -> str | None:
    """What of a lens's tensors is not as `save` writes them, though they may be those that were read; None: nothing."""
    if found["weight"].dim() != 4:
        return "its tensors do not fit one another"
    layers, heads, d_head, d_model = found["weight"].shape
    maps = {"weight": (d_head, d_model), "mean": (d_head,), "target_mean": (d_model,)}
    for name, tensor in found.items():
        wanted = (d_model,) if name == "centre" else (layers, heads, *maps.get(name, ()))
        if tensor.shape != wanted:
            return "its tensors do not fit one another"
        if tensor.is_floating_point() == (name == "samples"):
            return f"{name} holds numbers of another kind"
        if name in ("centre", *maps) and not bool(tensor.isfinite().all()):
            return f"{name} holds values that are not finite"
    return None


def _origin_fault(origin: Origin) -> str | None:
    """What of what a lens says of itself cannot be; None: nothing."""
    kinds: dict[str, type] = dict.fromkeys(("count", "positions", "folds", "seed"), int)
    kinds |= dict.fromkeys(("model", "weights_sha256", "texts", "texts_sha256"), str)
    for name, kind in kinds.items():
        if type(getattr(origin, name)) is not kind:
            return f"its {name} is {getattr(origin, name)!r:.40}"
    for name, known in (("target", TARGETS), ("mask", MASKS)):
        if getattr(origin, name) not in list(known):
            return f"its {name} is {getattr(origin, name)!r:.40}"
    return None


def save_or_keep(lens: LinearLens, path: str | Path) -> None:
    """Write a lens; where its place does not take it, keep it in the cache, so that no work is lost, and say where."""
    try:
        lens.keep(path)
    except InputError as error:
        try:
            kept = cache_directory() / "lenses" / f"{Path(path).stem}-{lens.origin.weights_sha256[:12]}.safetensors"
            kept.parent.mkdir(parents=True, exist_ok=True)
            lens.keep(kept)
        except (OSError, InputError):
            raise error from None
        raise InputError(f"{error} The lens is kept in {str(kept)!r}: move it from there.") from None


def _sum_of(told: str, tensors: Mapping[str, Tensor]) -> str:
    """The SHA-256 of all that a lens's file says and holds."""
    digest = hashlib.sha256(told.encode())
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode())
        digest.update(tensor.reshape(-1).contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()
