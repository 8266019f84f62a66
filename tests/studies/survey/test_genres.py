"""Topic-matched chance: other documents of the same genre, beside the general one, which stays as it is."""

from __future__ import annotations

import json
import random

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch
import zoo

from headscope import Scope
from headscope.corpus.bank import ASKED, strata
from headscope.errors import InputError
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.report.stream import stream
from headscope.studies.survey.report.write import write_report
from headscope.studies.survey.run import Survey
from tests.angled import angled
from tests.studies.survey.corpora import WORDS, by_the_jackknife, sentences, statistics, surveyed, table, written

pytestmark = pytest.mark.slow  # what all of it looks at is dear to make

GENRES = ("news", "letters")
LEXICONS = dict(zip(GENRES, (sorted(set(WORDS))[::2], sorted(set(WORDS))[1::2]), strict=True))
OF_CHANCE = ("auc_own", "own_at_1", "own_at_10", "in_text", "kappa", "signal", "signal_8")


def corpus(path, genres=GENRES, documents=24):
    """Documents of two texts, by turns of each genre, which has words of its own."""
    draw = random.Random(1)
    with path.open("w", encoding="utf-8") as file:
        for document in range(documents):
            for genre in genres:
                for _ in range(2):
                    text = " ".join(draw.choices(LEXICONS[genre], k=draw.randint(6, 14)))
                    file.write(json.dumps({"text": text, "document": f"{genre} {document}", "genre": genre}) + "\n")
    return path


def planted() -> Scope:
    """A tiny BERT to which all words of a genre are one, and whose heads in layer 0 attend to all alike.

    So they write the words that texts of the genre have in common, and nothing of which text it is.
    """
    model, tokenizer = zoo.build("bert")
    with torch.no_grad():
        attention = angled(model, slice(4, 32), 40, torch.Generator().manual_seed(0))
        attention.value.weight[:, :4] = 0
        attention.value.bias.zero_()
        rows = model.embeddings.word_embeddings.weight
        for words in LEXICONS.values():
            ids = [id for word in words for id in tokenizer(word, add_special_tokens=False)["input_ids"]]
            rows[ids] = rows[ids[0]].clone()
    return Scope.from_model(model, tokenizer)


def of_layer(directory, layer=0):
    """The figures of all tokens under the layer's own reference, mean over its heads, by statistic."""
    found = statistics(directory)
    found = found[(found.layer == layer) & found["head"].isna() & (found.by == "all") & (found.reference == "layer")]
    return found[found["null"].isna()].set_index("statistic")


def test_what_is_common_to_a_genre_is_topic_by_general_chance_and_not_by_its_own(tmp_path):
    found = of_layer(surveyed(planted(), corpus(tmp_path / "t.jsonl"), tmp_path / "s", references=("layer",)))
    for statistic in OF_CHANCE:
        general, matched = found.loc[statistic], found.loc[f"{statistic}_matched"]
        assert general.verdict == "above"
        assert general.difference_low > 0.1
        assert matched.verdict == ("undetermined" if statistic in ("in_text", "kappa") else "at chance")
        assert abs(matched.difference) < 0.005
    assert found.loc["auc_own"]["value"] == found.loc["auc_own_matched"]["value"]


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A survey of texts with genres in several shards, with residual streams."""
    from tests.conftest import _scope

    where = tmp_path_factory.mktemp("genres")
    options = {"stream": True, "shard_positions": 200, "metrics": ("cosine", "dot")}
    return surveyed(_scope("gpt2"), corpus(where / "t.jsonl"), where / "s", **options)


def test_each_row_is_asked_of_outputs_of_other_documents_of_its_genre(survey, scope_of):
    scope = scope_of("gpt2")
    texts = table(survey, "texts").set_index("text")
    genre_of = {text: document.split()[0] for text, document in texts.document.items()}
    bank = pq.read_table(survey / "bank_matched.parquet").to_pandas()
    assert (bank.text.map(genre_of) == bank.genre).all()
    asked_of = table(survey, "tokens").set_index(["text", "position"])
    readings = {}

    def nearest(text, *question):
        if text not in readings:
            readings[text] = scope.read(texts.content[text])
        return readings[text].nearest(*question, k=scope.card.vocab_size)

    for row in table(survey, "rows").sample(40, random_state=0).itertuples():
        token = asked_of.loc[row.text, row.position]
        types = set(asked_of.loc[row.text].id)
        assert len(token.asked_matched) == len(row.matched_own_rank) == ASKED
        for output, rank, inside in zip(token.asked_matched, row.matched_own_rank, row.matched_in_text, strict=True):
            if np.isnan(output):
                assert np.isnan(rank)
                assert inside is None
                continue
            there = bank.loc[int(output)]
            assert there.genre == genre_of[row.text]
            assert there.group != texts.group[row.text]
            assert there.stratum == strata(np.array([row.position]))[0]
            other = nearest(int(there.text), int(there.position), row.layer, row.space, row.reference, row.metric)
            assert rank == other.ranks[row.head][other.ids[row.head] == token.id].item()
            assert inside == (int(other.ids[row.head, 0]) in types)
    for row in table(survey, "stream").itertuples():
        known = ~np.isnan(asked_of.loc[row.text, row.position].asked_matched)
        assert (~np.isnan(row.matched_own_rank) == known).all()


def test_figures_and_intervals_are_those_of_a_plain_jackknife(survey):
    rows = table(survey, "rows").merge(table(survey, "texts")[["text", "group"]], on="text")
    rows = rows.merge(table(survey, "tokens")[["text", "position", "asked_matched"]], on=["text", "position"])
    rows = rows[(rows.layer == 1) & (rows["head"] == 2) & (rows.reference == "layer") & (rows.metric == "cosine")]
    lenders = pq.read_table(survey / "bank_matched.parquet")["group"].to_numpy()
    rank, asked = (np.stack(rows[name]).astype(float) for name in ("matched_own_rank", "asked_matched"))
    auc, by = 1 - (rows.own_rank - 1) / (rows.candidates - 1), 1 - (rank - 1) / (rows.candidates.iloc[0] - 1)
    lender = np.where(np.isnan(asked), -1, lenders[np.nan_to_num(asked).astype(int)])
    share = np.where(np.isnan(asked), 0, 1 / np.maximum((~np.isnan(asked)).sum(1, keepdims=True), 1))
    paired = share.sum(1) > 0
    group = rows.group.to_numpy()

    def difference(without):
        mine, others = paired & (group != without), (lender != without) & (group != without)[:, None]
        return auc[mine].mean() - (np.nan_to_num(by) * share * others).sum() / (share * others).sum()

    value = difference(-1)
    low, high, p = by_the_jackknife(value, [difference(one) for one in np.unique(group)])
    found = statistics(survey)
    found = found[(found.layer == 1) & (found["head"] == 2) & (found.reference == "layer") & (found.metric == "cosine")]
    row = found[(found.by == "all") & (found.statistic == "auc_own_matched")].iloc[0]
    assert (row.difference, row.paired) == (pytest.approx(value), paired.sum())
    assert (row.difference_low, row.difference_high, row.p) == pytest.approx((low, high, p))


def test_every_figure_that_has_chance_of_other_documents_has_the_matched_one(survey):
    found = set(statistics(survey).statistic)
    assert {one for one in found if one.endswith("_matched")} == {f"{one}_matched" for one in OF_CHANCE}
    stream = pq.read_table(survey / "stream.parquet").to_pandas()
    assert {one for one in stream.statistic if one.endswith("_matched")} == {
        f"{one}_matched" for one in ("auc_own", "own_at_1", "log_rank", "cosine")
    }
    left_out = set(pq.read_table(survey / "left_out.parquet").to_pandas().statistic)
    assert {"topic_matched", "kappa_matched", "signal_matched", "signal_8_matched"} <= left_out


def test_the_chart_of_streams_draws_chance_of_the_same_genre_too(survey):
    opened = open_survey(survey)
    drawn = stream("s", opened, "model")
    known = {(row[0], row[1]) for row in drawn.rows}
    assert ("Cosine to the own embedding", "chance, same genre") in known
    assert ("Rank of it (geometric mean)", "chance, same genre") in known
    assert ("100 nearest: shared with the input", "chance, same genre") not in known  # it has no chance
    assert "chance, same genre" in drawn.svg
    assert "it is of the genre’s words" in drawn.caption
    table = pq.read_table(survey / "stream.parquet").to_pandas()
    table = table[(table["mask"] == "model") & (table.by == "all")].set_index(["statistic", "stage"])
    for panel, line, layer, value, *_ in drawn.rows:
        if line == "chance, same genre":
            statistic = "cosine" if panel.startswith("Cosine") else "log_rank"
            chance = table.loc[f"{statistic}_matched", int(2 * layer)].chance
            assert value == pytest.approx(chance if statistic == "cosine" else np.exp(chance))


@pytest.mark.long
def test_it_does_not_move_with_the_shards(survey, scope_of, tmp_path):
    options = {"stream": True, "metrics": ("cosine", "dot")}
    whole = surveyed(scope_of("gpt2"), corpus(tmp_path / "t.jsonl"), tmp_path / "s", **options)
    assert len(list(whole.glob("shards/*"))) < len(list(survey.glob("shards/*")))
    assert pq.read_table(whole / "bank_matched.parquet").equals(pq.read_table(survey / "bank_matched.parquet"))
    one, other = statistics(whole), statistics(survey)
    assert (one.statistic == other.statistic).all()
    for name in ("value", "chance", "difference", "difference_low", "difference_high"):
        np.testing.assert_allclose(one[name], other[name], atol=2e-4)


def without_genres(path):
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    bare = [json.dumps({name: one[name] for name in ("text", "document")}) for one in lines]
    path.write_text("\n".join(bare) + "\n")
    return path


@pytest.mark.long
def test_the_general_figures_are_those_of_the_same_texts_without_genres_which_gain_nothing(scope_of, tmp_path):
    for name in ("bare", "marked"):
        (tmp_path / name).mkdir()
    path = without_genres(corpus(tmp_path / "bare" / "t.jsonl"))
    bare = surveyed(scope_of("bert"), path, tmp_path / "bare" / "s")
    marked = surveyed(scope_of("bert"), corpus(tmp_path / "marked" / "t.jsonl"), tmp_path / "marked" / "s")
    assert {path.name for path in marked.iterdir()} - {path.name for path in bare.iterdir()} == {"bank_matched.parquet"}
    for name in ("statistics", "contrasts", "left_out"):
        one, other = (pq.read_table(directory / f"{name}.parquet") for directory in (bare, marked))
        assert not any("matched" in statistic for statistic in one["statistic"].to_pylist())
        general = [not statistic.endswith("_matched") for statistic in other["statistic"].to_pylist()]
        assert one.equals(other.filter(general))
    for name in ("tokens", "rows"):
        one, other = (pq.read_table(directory / "shards" / "00000" / f"{name}.parquet") for directory in (bare, marked))
        assert one.equals(other.select(one.column_names))
        assert not any("matched" in column for column in one.column_names)
    assert (bare / "bank.parquet").read_bytes() == (marked / "bank.parquet").read_bytes()
    assert "genres" not in json.loads((bare / "manifest.json").read_text())["texts"]


@pytest.mark.long
def test_a_genre_of_too_few_documents_is_said_and_has_no_chance(scope_of, tmp_path):
    path = corpus(tmp_path / "t.jsonl", genres=("news",), documents=30)
    lone = [{"text": text, "document": "one", "genre": "vlog"} for text in sentences(4, seed=2)]
    path.write_text(path.read_text() + "".join(json.dumps(one) + "\n" for one in lone))
    survey = Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(references=("layer",)))
    said = "no topic-matched chance for vlog (1 document): it takes 3 documents of a genre."
    assert said in survey.plan(trial=0).notes
    survey.run()
    tokens = table(tmp_path / "s", "tokens").merge(table(tmp_path / "s", "texts")[["text", "document"]], on="text")
    alone = np.stack(tokens.asked_matched[tokens.document == "one"])
    assert np.isnan(alone).all()
    found = of_layer(tmp_path / "s").loc["auc_own_matched"]
    assert found.paired < found.positions - len(alone) + 1
    page = write_report([tmp_path / "s"], tmp_path / "report").read_text()
    assert said in page
    assert "In-text rate, same genre" in page
    assert "it is of the genre’s words, not of this text’s" in page


@pytest.mark.slow(cases=1)
@pytest.mark.parametrize(("genres", "said"), [(1, "vlog 0 (1 document)"), (70, "more than 64 genres are marked")])
def test_without_a_genre_of_enough_documents_there_is_nothing_matched(genres, said, scope_of, tmp_path):
    path = tmp_path / "t.jsonl"
    texts = sentences(72 if genres > 1 else 12, seed=2)
    marked = [{"text": text, "genre": f"vlog {n % genres}"} for n, text in enumerate(texts)]
    if genres == 1:
        marked[1:] = [{"text": text} for text in texts[1:]]
    path.write_text("".join(json.dumps(one) + "\n" for one in marked))
    survey = Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(references=("layer",)))
    assert any(said in note for note in survey.plan(trial=0).notes)
    survey.run()
    assert not any("matched" in statistic for statistic in statistics(tmp_path / "s").statistic)
    assert "matched" not in write_report([tmp_path / "s"], tmp_path / "report").read_text().replace("topic-matched", "")


def test_texts_whose_genres_changed_are_other_texts(scope_of, tmp_path):
    path = corpus(tmp_path / "t.jsonl", documents=4)
    Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions())
    without_genres(path)
    with pytest.raises(InputError, match="another survey"):
        Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions())


def test_plain_text_has_no_genres(scope_of, tmp_path):
    directory = surveyed(scope_of("bert"), written(tmp_path / "t.txt", sentences(6)), tmp_path / "s")
    assert not (directory / "bank_matched.parquet").exists()
