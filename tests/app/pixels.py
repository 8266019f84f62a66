"""Plots as pixels: what a screenshot of one shows, and where its numbers should be."""

from __future__ import annotations

import io
import json
import re
from typing import Any, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray

from tests.app.browsers import Browser

Image: Any = pytest.importorskip("PIL.Image", reason="pictures cannot be read (extra: dev)")
ImageFilter: Any = pytest.importorskip("PIL.ImageFilter")


class Shot(NamedTuple):
    """A plot's picture: rgb [row, column, 3], and the corners (left, top, right, bottom) of what the axes enclose."""

    rgb: NDArray[np.int16]
    inside: tuple[int, int, int, int]

    def near(self, x: float, y: float, colour: tuple[int, int, int], within: int = 48) -> bool:
        """Whether a pixel at most one away from a place has nearly a colour."""
        row, column = round(y), round(x)
        around = self.rgb[row - 1 : row + 2, column - 1 : column + 2]
        return bool((np.abs(around - np.array(colour)).max(-1) <= within).any())

    def share(self, colour: tuple[int, int, int], within: int = 48) -> float:
        """The share of the pixels inside the axes that have nearly a colour."""
        left, top, right, bottom = self.inside
        apart = np.abs(self.rgb[top:bottom, left:right] - np.array(colour)).max(-1)
        return float((apart <= within).mean())

    def drawn(self) -> NDArray[np.bool_]:
        """Which pixels inside the axes differ clearly from the commonest colour, the paper."""
        left, top, right, bottom = self.inside
        part = self.rgb[top:bottom, left:right]
        colours, counts = np.unique(part.reshape(-1, 3), axis=0, return_counts=True)
        found: NDArray[np.bool_] = np.abs(part - colours[counts.argmax()]).max(-1) > 96
        return found


def shot(page: Browser, plot: str) -> Shot:
    """The picture of a plot, once it is drawn."""
    selector = f"#plot-{plot} .canvas"
    page.wait(f"document.querySelector('{selector}')", 60)
    page.into_view(selector)
    page.wait(f"document.querySelector('{selector}')?.dataset.drawn", 60)
    inside = page.js(
        f"(({{xaxis: x, yaxis: y}}) => [x._offset, y._offset, x._offset + x._length, y._offset + y._length])"
        f"(document.querySelector('{selector}')._fullLayout)"
    )
    # Until two pictures in a row are the same: plots above may still be coming, and push this one down.
    pictures = [page.picture(selector)]
    while len(pictures) < 2 or pictures[-1] != pictures[-2]:
        assert len(pictures) < 40, f"{plot} does not come to rest"
        pictures.append(page.picture(selector))
    picture = Image.open(io.BytesIO(pictures[-1])).convert("RGB")
    left, top, right, bottom = (round(edge) for edge in inside)
    return Shot(np.asarray(picture).astype(np.int16), (left, top, right, bottom))


def places(page: Browser, plot: str, xs: list[float], ys: list[float]) -> list[tuple[float, float]]:
    """Where the plot's own axes put numbers, in pixels of its picture."""
    pairs = json.dumps(list(zip(xs, ys, strict=True)))
    found = page.js(
        f"(({{xaxis: a, yaxis: b}}) => {pairs}.map(([x, y]) => [a._offset + a.d2p(x), b._offset + b.d2p(y)]))"
        f"(document.querySelector('#plot-{plot} .canvas')._fullLayout)"
    )
    return [(x, y) for x, y in found]


def ink(page: Browser, name: str) -> tuple[int, int, int]:
    """One of the page's colours as it is shown."""
    told = page.js(
        "(() => { const probe = document.body.appendChild(document.createElement('span'));"
        f" probe.style.color = 'var(--{name})'; const told = getComputedStyle(probe).color;"
        " probe.remove(); return told; })()"
    )
    red, green, blue = (int(part) for part in re.findall(r"\d+", told)[:3])
    return red, green, blue


def alike(one: NDArray[np.bool_], other: NDArray[np.bool_], within: int = 3) -> float:
    """The share of the pixels drawn in either picture that have one drawn in the other at most `within` pixels away."""
    height, width = one.shape
    # A scrollbar, or a legend of two lines, leaves one browser a little less room for the same drawing.
    scaled = Image.fromarray(other.astype(np.uint8) * 255).resize((width, height), Image.Resampling.BILINEAR)
    pair = [one, np.asarray(scaled) > 127]
    wider = [
        np.asarray(Image.fromarray(part.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * within + 1))) > 0
        for part in pair
    ]
    met = (pair[0] & wider[1]).sum() + (pair[1] & wider[0]).sum()
    return float(met / (pair[0].sum() + pair[1].sum()))
