"""Where labels go so that they do not collide: the most important first, each beside its point, or nowhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

Area = tuple[float, float, float, float]  # left, bottom, right, top
Point = tuple[float, float]
# Right, left, above, below, and the four corners; in widths, heights and gaps from the point.
_AROUND = (
    (0, -0.5, 1, 0), (-1, -0.5, -1, 0), (-0.5, 0, 0, 1), (-0.5, -1, 0, -1),
    (0, 0, 0.7, 0.7), (0, -1, 0.7, -0.7), (-1, 0, -0.7, 0.7), (-1, -1, -0.7, -0.7),
)  # fmt: skip


def placed(
    labels: Iterable[tuple[Point, float, float]], taken: Sequence[Area], within: Area, gap: float
) -> Iterator[Point | None]:
    """The lower left corner of each label (point, width, height) in turn; None where there is no room beside its point.

    `taken` are boxes that no label may cover, `within` is the box that all must be in.

    >>> list(placed([((0, 0), 4, 2), ((0, 0), 4, 2)], taken=[(-9, -9, 0, 9)], within=(-9, -9, 9, 2), gap=1))
    [(1, -1.0), None]
    """
    boxes = list(taken)
    for (x, y), width, height in labels:
        for across, up, right, above in _AROUND:
            left, bottom = x + across * width + right * gap, y + up * height + above * gap
            box = (left, bottom, left + width, bottom + height)
            if _inside(box, within) and not any(_meet(box, other) for other in boxes):
                boxes.append(box)
                yield left, bottom
                break
        else:
            yield None


def _meet(one: Area, other: Area) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _inside(box: Area, within: Area) -> bool:
    return within[0] <= box[0] and within[1] <= box[1] and box[2] <= within[2] and box[3] <= within[3]
