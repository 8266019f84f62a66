"""A map as a file: what is drawn, the same bytes every time."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch
import zoo

from headscope.errors import InputError
from headscope.show.numbers import distance

SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture
def found(scope_of):
    return scope_of("bert").read(zoo.TEXT).map(1, 2, method="pca", size=150)


def texts(file: Path) -> list[str]:
    """What is written in an SVG file."""
    return ["".join(node.itertext()).strip() for node in ElementTree.parse(file).iter(f"{SVG}text")]


def test_an_svg_says_what_it_shows(found, tmp_path):
    written = texts(found.save(tmp_path / "map.svg"))
    said = " ".join(written)
    assert "layer 1, head 2" in said.lower()
    assert f"Trustworthiness {found.trustworthiness:.3f}" in said
    assert "Do not read nearness off this picture" in said
    assert f"first component: {found.explained[0]:.1%} of the variance" in said
    for legend in ("values v", "outputs z", "vocabulary: tokens of the text", "vocabulary: random"):
        assert legend in written
    labels = {token.label for token in found.texts[0].tokens} | {name.label for name in found.names.values()}
    assert sum(label in labels for label in written) > 30


@pytest.mark.slow
def test_the_same_map_gives_the_same_bytes(found, tmp_path):
    first, second = (found.save(tmp_path / f"{n}.svg").read_bytes() for n in range(2))
    assert first == second
    assert first != found.save(tmp_path / "dark.svg", "dark").read_bytes()


def test_its_texts_tell_where_each_token_is_moved(found, scope_of, tmp_path):
    both = found.place(scope_of("bert").read("A bird likes a banana.", mask="causal"))
    told = both.save(tmp_path / "map.md").read_text()
    assert "mask causal" in told
    for text in both.texts:
        for token, moved in zip(text.tokens, text.moved.tolist(), strict=True):
            row = next(line for line in told.splitlines() if line.startswith(f"| {token.position} "))
            assert len(row.split(" | ")) == 6
            assert any(f"| {distance(moved)} |" in line for line in told.splitlines())
    counts = {"tokens of the text": "text", "near an output": "near", "random": "random"}
    for said, group in counts.items():
        assert f"| {said} | {found.groups.count(group)} |" in told


@pytest.mark.parametrize(("moved", "shares"), [(0.0, {0.0}), (-6e-8, {0.0}), (0.25, {1.0})])
def test_what_is_not_moved_has_no_ground(found, moved, shares):
    text = replace(found.texts[0], moved=torch.full_like(found.texts[0].moved, moved))
    rows = replace(found, texts=(text,)).sheets()[1].rows
    assert {row.cells[-1].share for row in rows} == shares


@pytest.mark.slow
def test_files_are_of_their_kind_and_of_paper_size(found, tmp_path):
    assert found.save(tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
    pdf = found.save(tmp_path / "map.pdf").read_bytes()
    assert pdf.startswith(b"%PDF")
    width, height = map(float, re.search(rb"MediaBox \[ 0 0 (\S+) (\S+) \]", pdf).groups())
    assert (width / 72, height / 72) == pytest.approx((11.69, 8.27), abs=0.01)  # A4, lying


def test_labels_are_text_whatever_is_in_them(found, tmp_path):
    hostile = {
        id: replace(name, label=label)
        for (id, name), label in zip(found.names.items(), ["$x^2$", "$", "<b>", "]]>", "&amp;"] * 99, strict=False)
    }
    written = texts(replace(found, names=hostile).save(tmp_path / "map.svg"))
    assert {"$x^2$", "<b>", "]]>", "&amp;"} <= set(written)


def test_two_texts_have_their_own_signs(found, scope_of, tmp_path):
    both = found.place(scope_of("bert").read("A bird likes a banana."))
    written = texts(both.save(tmp_path / "map.svg"))
    assert {"values v of text 1", "outputs z of text 1", "values v of text 2", "outputs z of text 2"} <= set(written)


@pytest.mark.slow
def test_a_notebook_shows_the_drawing_and_its_warnings(found):
    html = found._repr_html_()
    assert "<svg" in html
    assert "Do not read nearness off this picture" in html
    assert "<?xml" not in html
    assert found.to_html().split("<script")[0].count("<svg") == 1


@pytest.mark.parametrize(
    ("name", "theme", "said"),
    [
        ("map.gif", "light", r"\.html, \.md, \.csv, \.json, \.svg, \.pdf, \.png, not '\.gif'"),
        ("map", "light", "without an ending"),
        ("map.svg", "sepia", "no theme 'sepia'"),
        ("nowhere/map.svg", "light", "no directory"),
    ],
)
def test_a_file_that_cannot_be_is_refused(found, tmp_path, name, theme, said):
    with pytest.raises(InputError, match=said):
        found.save(tmp_path / name, theme)


def test_a_place_that_cannot_be_written_to_is_said(found, tmp_path):
    (tmp_path / "map.svg").mkdir()
    with pytest.raises(InputError, match="is a directory"):
        found.save(tmp_path / "map.svg")
