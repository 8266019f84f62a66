"""What claims can do as an answer, and what they say of verdicts and findings that a hand wrote down."""

from __future__ import annotations

import csv
import xml.etree.ElementTree as ET

import pytest

from headscope.studies.claims.catalogue import CLAIMS
from headscope.studies.claims.page import write_page
from headscope.studies.claims.result import MARKS, Claims
from headscope.studies.claims.verdict import Finding
from tests.contract import AnswerContract

FOUND = (
    Finding("S1", "right", None, "holds", "4 of 12 heads (head 1, 2, 3, 4).", 4, figures=({"head": 0}, {"head": 1})),
    Finding("S1", "published", None, "contradicted", "no head\x1b[31m of 12."),
    Finding("S4", "right", "input", "contradicted", "own rank 1 in 2 of 132 heads: L1H0, L1H1.", 2, 1.0, 3.0, 0.5),
    Finding("S4", "right", "layer", "undetermined", "nothing that tells, " * 20),
    Finding("S4", "published", "input", "not applicable", "its W_V is 32 × 16, not square."),
    *(
        Finding(id, "right", None, "not applicable", "the model has one layer.")
        for id in CLAIMS
        if id not in ("S1", "S4")
    ),
)


@pytest.fixture
def drawn() -> bool:
    return True


class TestClaims(AnswerContract):
    """Of claims."""

    @pytest.fixture
    def answer(self) -> Claims:
        model = {"name": "someone/bert", "layers": 12, "heads": 12, "why": "An encoder."}
        texts = {"from": "corpus.conllu", "texts": 2000, "tokens": 31_000, "groups": 318, "documents": 318}
        return Claims(model, texts, "model", FOUND, ("a note that must be read.",))

    def test_every_verdict_stands_under_its_arithmetic_and_reference(self, answer):
        verdicts, _ = answer.sheets()
        by_claim = {row.head.label: [cell.label for cell in row.cells] for row in verdicts.rows}
        assert by_claim["S1"] == [CLAIMS["S1"].says, MARKS["holds"], "″", MARKS["contradicted"]]
        assert by_claim["S4"][1:] == [MARKS["contradicted"], MARKS["undetermined"], MARKS["not applicable"]]
        assert by_claim["B1"][1:] == [MARKS["not applicable"], "″", "–"]
        assert list(by_claim) == list(CLAIMS)

    def test_all_that_was_found_is_said_in_the_terminal_whatever_its_width(self, answer):
        shown = str(answer)
        words = " ".join(shown.split())
        assert shown.count("tells,") == 20
        assert "Note: a note that must be read." in words
        assert "2,000 texts, 31,000 tokens in 318 documents: corpus.conllu" in words
        assert "\x1b" not in shown

    def test_the_figure_has_every_verdict_whole(self, answer, tmp_path):
        said = [one.text for one in ET.parse(answer.save(tmp_path / "claims.svg")).iter() if one.tag.endswith("}text")]
        assert set(CLAIMS) <= set(said)
        assert said.count(MARKS["not applicable"]) == 1 + len(CLAIMS) - 2
        assert MARKS["undetermined"] in said

    def test_a_row_is_a_finding_with_the_number_of_its_figures(self, answer):
        assert answer.rows()[0] == {
            "claim": "S1", "arithmetic": "right", "reference": None, "ruling": "holds", "found": FOUND[0].found,
            "value": 4, "low": None, "high": None, "chance": None, "figures": 2,
        }  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("of_genre", [False, True])
def test_the_page_draws_parts_of_speech_over_the_same_genre_where_that_was_asked(of_genre, tmp_path):
    names = ("agreement − chance", "agreement − chance, same genre")[: 1 + of_genre]
    figures = tuple(
        {"layer": layer, "rate": name, "value": 0.1 * layer + n, "low": None, "high": None}
        for layer in range(2)
        for n, name in enumerate(names)
    )
    model = {"name": "m", "architecture": "M", "revision": None, "weights_sha256": "0", "layers": 2, "heads": 1}
    texts = {"from": "t", "texts": 1, "tokens": 9, "groups": 1, "documents": 1, "left_out": {}, "sha256": "0"}
    found = Finding("S10", "right", "layer", "undetermined", "–", figures=figures)
    write_page(Claims(model, texts, "model", (found,), ()), tmp_path)
    rows = list(csv.DictReader((tmp_path / "numbers" / "heads.csv").open(encoding="utf-8")))
    drawn = [(row["panel"], float(row["value"])) for row in rows]
    title = "Part of speech over chance"
    expected = [(title, 0.0), (title, 0.1), (f"{title}, same genre", 1.0), (f"{title}, same genre", 1.1)]
    assert drawn == expected[: 2 * len(names)]
