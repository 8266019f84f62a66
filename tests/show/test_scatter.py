"""Points in a plane as a drawing, whatever they are of."""

from __future__ import annotations

import sys
from dataclasses import replace
from xml.etree import ElementTree

import pytest

from headscope.errors import InputError
from headscope.show.scatter import Cloud, Moves, Scatter, drawn

SVG = "{http://www.w3.org/2000/svg}"
FACES = Scatter(
    "Faces",
    "of two kinds",
    (Moves("asleep", "awake", ((0.0, 0.0), (1.0, 3.0)), ((4.0, 1.0), (5.0, 5.0)), ("Ann", "Bo")),),
    (Cloud("others", "faint", ((2.0, 2.0),), ("Cy",)), Cloud("kin", "strong", ((3.0, 4.0),), ("Di",))),
    ("Three were not asked.",),
)


def written(scatter: Scatter, theme: str = "light") -> list[str]:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: maps)")
    root = ElementTree.fromstring(drawn(scatter, "svg", theme))  # type: ignore[arg-type]
    return ["".join(node.itertext()).strip() for node in root.iter(f"{SVG}text")]


def test_every_name_and_label_is_written_and_those_that_move_twice():
    words = written(FACES)
    assert {"Faces", "of two kinds", "Three were not asked.", "asleep", "awake", "others", "kin"} <= set(words)
    assert [words.count(label) for label in ("Ann", "Bo", "Cy", "Di")] == [2, 2, 1, 1]


def test_what_xml_cannot_write_does_not_spoil_the_file():
    assert "a\ufffdb" in written(replace(FACES, subtitle="a\x01b"))


def test_axes_have_names_where_they_mean_something():
    assert {"east", "north"} <= set(written(replace(FACES, axes=("east", "north"))))
    assert not {"east", "north"} & set(written(FACES))


@pytest.mark.slow
def test_where_there_is_no_room_the_stronger_label_stands():
    crowded = replace(
        FACES,
        moves=(),
        clouds=tuple(
            Cloud(look, look, tuple((n / 1000, 0.0) for n in range(200)), (f"a {look} label",) * 200)  # type: ignore[arg-type]
            for look in ("faint", "plain", "strong")
        ),
    )
    counts = [written(crowded).count(f"a {look} label") for look in ("strong", "plain", "faint")]
    assert counts[0] > max(counts[1:])
    assert sum(counts) < 600


def test_more_that_move_than_there_are_signs_are_drawn_all():
    many = replace(FACES, moves=tuple(replace(FACES.moves[0], ends_name=f"end {n}") for n in range(5)))
    assert {f"end {n}" for n in range(5)} <= set(written(many))


def test_the_same_points_give_the_same_bytes_and_another_theme_others():
    pytest.importorskip("matplotlib", reason="matplotlib is not installed (extra: maps)")
    assert drawn(FACES, "svg") == drawn(FACES, "svg")
    assert drawn(FACES, "pdf") == drawn(FACES, "pdf")
    assert drawn(FACES, "svg") != drawn(FACES, "svg", "dark")


def test_without_matplotlib_a_sentence_names_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(InputError, match=r'pip install "headscope\[maps\]"'):
        drawn(FACES, "svg")
