"""Labels beside points: none covers another, and the most important has room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from headscope.show.labels import placed

size = st.floats(1, 20)
places = st.tuples(st.floats(0, 100), st.floats(0, 100))


@given(st.lists(st.tuples(places, size, size), max_size=30), st.lists(places, max_size=5))
def test_labels_never_collide(labels, points):
    taken = [(x - 1, y - 1, x + 1, y + 1) for x, y in points]
    boxes = [
        (corner[0], corner[1], corner[0] + width, corner[1] + height)
        for corner, (_, width, height) in zip(placed(labels, taken, (0, 0, 100, 100), 2), labels, strict=True)
        if corner is not None
    ]
    everything = boxes + taken
    for n, one in enumerate(boxes):
        assert one[0] >= 0
        assert one[1] >= 0
        assert one[2] <= 100
        assert one[3] <= 100
        for other in everything[n + 1 :]:
            assert one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]


@given(places, size, size)
def test_the_first_label_always_has_room(at, width, height):
    assert next(placed([(at, width, height)], [], (-50, -50, 150, 150), 2)) is not None
