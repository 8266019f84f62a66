"""Numbers to recognise right arithmetic by: the demo weights on real sentences."""

from __future__ import annotations

import pytest

from tests.conftest import SHARED
from tests.studies.survey.corpora import statistics, surveyed, table

EWT = SHARED / "corpora" / "ud-ewt" / "en_ewt-ud-dev.conllu"
RATES = {"input": [0.475, 0.007, 0.003, 0.006, 0.003, 0.004], "layer": [0.475, 0.429, 0.120, 0.026, 0.013, 0.122]}
CHANCE = {"input": [0.109, 0.006, 0.003, 0.007, 0.004, 0.006], "layer": [0.109, 0.091, 0.035, 0.005, 0.003, 0.005]}


@pytest.mark.long
@pytest.mark.simulation
@pytest.mark.skipif(not EWT.is_file(), reason=f"no corpus at {EWT}")
def test_how_often_the_nearest_token_is_one_of_the_text(demo, tmp_path):
    blocks = EWT.read_text().split("\n\n")
    texts = [next((line for line in block.splitlines() if line.startswith("# text = ")), "") for block in blocks]
    chosen = [b for b, t in zip(blocks, texts, strict=True) if 8 <= len(t.removeprefix("# text = ").split()) <= 30]
    path = tmp_path / "first.conllu"
    path.write_text("\n\n".join(chosen[:100]))
    directory = surveyed(demo, path, tmp_path / "s")
    found = statistics(directory)
    found = found[found["head"].isna() & (found.by == "all") & (found.statistic == "in_text")].sort_values("layer")
    assert set(found.positions) == {2448}
    for reference, rates in RATES.items():
        of = found[found.reference == reference]
        assert of["value"].tolist() == pytest.approx(rates, abs=6e-4)
        # The pilot's other texts were drawn in another way.
        assert of.chance.tolist() == pytest.approx(CHANCE[reference], abs=0.02)
        assert (of.paired > 2300).all()
    tokens = table(directory, "tokens")
    assert tokens.tag.notna().mean() > 0.99
    assert set(tokens.word_class) == {"content", "function", "punctuation", "other"}
