"""Sums that shards keep: of any split of the texts they merge to those of the whole, to the bit, and figures follow."""

from __future__ import annotations

import shutil
from itertools import permutations, product

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from headscope.corpus.bank import ASKED
from headscope.errors import InputError
from headscope.inference.left_out import folded
from headscope.studies.survey import gathered, kept_sums
from headscope.studies.survey.gathered import gather
from headscope.studies.survey.kept_sums import opened_sums, write_sums
from headscope.studies.survey.run import finish
from headscope.studies.survey.store import Store
from headscope.studies.survey.summing import Summing
from headscope.studies.survey.sums import CLASSES, ItemSums, Membership, of_rows
from headscope.studies.survey.tables import ROWS, SIGNALS
from headscope.studies.survey.totals import PieceSums, Tally, Totals
from tests.studies.survey.corpora import sentences, surveyed, written
from tests.studies.survey.damage import flip, make_to_fit, of_before

FIGURES = ("statistics", "stream", "contrasts", "left_out", "hubs")
GROUPS, HEADS = 5, 2


@pytest.fixture(scope="module")
def survey(tmp_path_factory):
    """A finished survey of several shards, with streams and a null."""
    from tests.conftest import _scope

    directory = tmp_path_factory.mktemp("survey")
    path = written(directory / "t.txt", sentences(36, seed=4), every=2)
    return surveyed(_scope("bert"), path, directory / "s", ("labels",), shard_positions=60, stream=True)


def figures(directory):
    """Every table of figures, to the bit."""
    return {name: pq.read_table(directory / f"{name}.parquet") for name in FIGURES}


def flat(piece):
    """What was summed, to the bit."""
    return {(one.name, one.kind): (one.where.tolist(), one.sums.tobytes()) for one in piece.summed}, piece.candidates


def tally_of(summing, summers, piece):
    tally = Tally(min(summing.documents, 1000), summing.heads, summing.vocab_size)
    for summer in summers:
        tally.add(summer(piece))
    return tally


@pytest.mark.long
def test_a_survey_of_before_has_the_same_figures_from_its_rows(survey, tmp_path):
    before = shutil.copytree(survey, tmp_path / "before")
    finish(of_before(before))
    assert figures(before) == figures(survey)
    assert not list(before.rglob("sums.parquet"))
    mixed = shutil.copytree(survey, tmp_path / "mixed")
    shutil.rmtree(mixed / "shards" / "00001")
    shutil.copytree(before / "shards" / "00001", mixed / "shards" / "00001")
    finish(mixed)
    assert figures(mixed) == figures(survey)


@pytest.mark.long
def test_sums_of_another_formula_are_left_alone(survey, tmp_path, monkeypatch):
    other = shutil.copytree(survey, tmp_path / "other")
    monkeypatch.setattr(kept_sums, "FORMULA", kept_sums.FORMULA + 1)
    read = []
    opened = Summing.opened
    monkeypatch.setattr(Summing, "opened", lambda self, shard: read.append(shard) or opened(self, shard))
    finish(other)
    assert len(set(read)) == len(list(other.rglob("sums.parquet")))
    assert figures(other) == figures(survey)


@pytest.mark.long
def test_figures_do_not_hang_on_how_many_pieces_are_held_at_a_time(survey, tmp_path, monkeypatch):
    other = shutil.copytree(survey, tmp_path / "other")
    monkeypatch.setattr(gathered, "HELD", 1)
    finish(other)
    assert figures(other) == figures(survey)


def test_a_survey_of_one_document_lends_nothing_and_has_figures(scope_of, tmp_path):
    path = written(tmp_path / "t.txt", sentences(1))
    directory = surveyed(scope_of("bert"), path, tmp_path / "s", references=("layer",))
    found = pq.read_table(directory / "statistics.parquet").to_pandas()
    assert (found[found.statistic == "own_at_1"].groups > 0).all()


@pytest.fixture
def parts(survey, tmp_path):
    """The same survey, whose shards were put together as those of two parts; one shard was left over."""
    copy = shutil.copytree(survey, tmp_path / "parts")
    for null in (None, "labels"):
        store = Store(copy, null)
        count = len(list(store.folder.iterdir()))
        assert count >= 4
        for shards in (range(0, count - 1, 2), range(1, count - 1, 2)) if count > 4 else (range(count - 1),):
            gather(store, shards)
            gather(store, shards)  # it is there
    return copy


def opened(directory, monkeypatch):
    """The shards that the end opens, of the model and of the null."""
    read, of_shard = [], Store.opened
    with monkeypatch.context() as patched:
        patched.setattr(Store, "opened", lambda self, index: read.append((self.null, index)) or of_shard(self, index))
        finish(directory)
    return {null: sorted({index for of, index in read if of == null}) for null in (None, "labels")}


@pytest.mark.slow
def test_the_end_reads_what_parts_have_put_together_and_no_shard_of_theirs(survey, parts, monkeypatch):
    last = len(list((parts / "shards").iterdir())) - 1
    assert opened(parts, monkeypatch) == {None: [last], "labels": [last]}
    assert figures(parts) == figures(survey)


@pytest.mark.slow
def test_what_was_put_together_of_a_shard_that_is_another_now_is_left_alone(survey, parts, monkeypatch):
    path = Store(parts).shard(1) / "sums.parquet"
    with pq.ParquetFile(path) as file:  # the same sums in other bytes, as another version would write them
        groups = [file.read_row_group(n) for n in range(file.num_row_groups)]
    with pq.ParquetWriter(path, groups[0].schema, compression="gzip") as writer:
        for group in groups:
            writer.write_table(group)
    make_to_fit(parts)
    found = opened(parts, monkeypatch)
    assert 1 in found[None]
    assert 1 not in found["labels"]
    assert figures(parts) == figures(survey)


@pytest.mark.slow
def test_a_bit_of_what_parts_have_put_together_counts(survey, parts):
    path = sorted(parts.glob("sums/*/00001.parquet"))[0]
    flip(path, 4 * path.stat().st_size)
    with pytest.raises(InputError, match=r"damaged \(00001\.parquet is not what was written\): remove it"):
        finish(parts)
    shutil.rmtree(path.parent)
    finish(parts)
    assert figures(parts) == figures(survey)


@pytest.mark.slow
def test_sums_are_read_as_they_were_written(survey, tmp_path):
    store = Store(survey)
    with store.summing.opened(store.shard(0)) as summer:
        found = [(piece, summer(piece)) for piece in store.pieces]
    write_sums(tmp_path / "sums.parquet", found)
    with opened_sums(tmp_path / "sums.parquet", store.pieces) as read, store.opened(0) as kept:
        for piece, one in found:
            assert flat(read(piece)) == flat(kept(piece)) == flat(one)
    with pytest.raises(ValueError, match="other pieces"), opened_sums(tmp_path / "sums.parquet", store.pieces[1:]):
        pass


def split(shard, folder, parts):
    """The tables of a shard as those of several: each text's rows go where `parts` [text] has them."""
    texts = pq.read_table(shard / "texts.parquet")["text"].to_numpy()
    of = dict(zip(texts.tolist(), parts, strict=True))
    for part in sorted(set(parts)):
        (folder / str(part)).mkdir(parents=True)
        for name in ("texts", "tokens", "patterns", "rows", "stream"):
            with pq.ParquetFile(shard / f"{name}.parquet") as file:
                groups = [file.read_row_group(n) for n in range(file.num_row_groups)]
            with pq.ParquetWriter(folder / str(part) / f"{name}.parquet", groups[0].schema) as writer:
                for group in groups:
                    mine = pa.array([of[text] == part for text in group["text"].to_pylist()])
                    writer.write_table(group.filter(mine))
    return [folder / str(part) for part in sorted(set(parts))]


@pytest.mark.long
def test_the_sums_of_any_split_of_the_rows_merge_to_those_of_the_whole(survey, tmp_path_factory):
    store = Store(survey)
    shard, summing = store.shard(1), store.summing
    texts = pq.read_table(shard / "texts.parquet").num_rows
    with summing.opened(shard) as whole:
        wanted = [flat(tally_of(summing, [whole], piece).sums()) for piece in store.pieces]

    @settings(max_examples=8, deadline=None)
    @given(st.lists(st.integers(0, 3), min_size=texts, max_size=texts), st.randoms(use_true_random=False))
    def every(parts, draw):
        folders = split(shard, tmp_path_factory.mktemp("split"), parts)
        draw.shuffle(folders)
        found = []
        for piece in store.pieces:
            tally = Tally(summing.documents, summing.heads, summing.vocab_size)
            for folder in folders:
                with summing.opened(folder) as part:
                    tally.add(part(piece))
            found.append(flat(tally.sums()))
        assert found == wanted

    every()


numbers = st.floats(-1, 1, width=32)


@st.composite
def tokens(draw):
    """Items of some groups, classes and heads: numbers, and which of them count."""
    count = draw(st.integers(1, 30))
    groups = np.array(draw(st.lists(st.integers(0, GROUPS - 1), min_size=count, max_size=count)))
    classes = np.array([draw(st.lists(st.integers(0, len(CLASSES) - 1), min_size=count, max_size=count))])
    values = np.array(draw(st.lists(numbers, min_size=HEADS * count, max_size=HEADS * count))).reshape(HEADS, count)
    known = np.array(draw(st.lists(st.booleans(), min_size=count, max_size=count)))
    return groups, classes, values, known


def summed(given, which):
    groups, classes, values, known = (one[..., which] for one in given)
    items = ItemSums({"x": np.where(known, values, 0.0)}, {"n": known.astype(float)})
    return list(Membership.of(classes, groups).summed(items, "own"))


@given(tokens(), st.data())
def test_a_mean_without_each_group_is_that_of_plain_loops_however_it_was_split(given, data):
    count = len(given[0])
    part = np.array(data.draw(st.lists(st.integers(0, 3), min_size=count, max_size=count)))
    order = data.draw(st.permutations(sorted(set(part.tolist()))))
    merged, whole = Totals(GROUPS), Totals(GROUPS)
    for one in summed(given, np.arange(count)):
        whole.add(one)
    for number in order:
        for one in summed(given, np.flatnonzero(part == number)):
            merged.add(one)
    mean, same = merged.ratio("x", "n"), whole.ratio("x", "n")
    for name in ("value", "without", "groups"):
        assert np.array_equal(getattr(mean, name), getattr(same, name), equal_nan=True)
    groups, classes, values, known = given
    for head, of_class, left in product(range(HEADS), sorted(set(classes[0].tolist())), (None, *range(GROUPS))):
        there = known & (classes[0] == of_class) & (groups != (GROUPS if left is None else left))
        found = mean.value[head, of_class] if left is None else mean.without[head, of_class, left]
        if there.any():
            assert found == pytest.approx(values[head, there].mean(), abs=2.0**-31)
        else:
            assert not np.isfinite(found)


def test_chance_is_the_mean_of_those_outputs_that_there_are_and_own_needs_both_of_its_sides():
    some = {"chance_own_rank": [[6] * ASKED, [3, 7] + [None] * (ASKED - 2)]}
    some |= {"chance_in_text": [[False] * ASKED, [True, False] + [None] * (ASKED - 2)]}
    told = {"own_auc_others": [0.25, 0.5], "even_own_auc": [0.5, 0.5], "even_own_auc_others": [0.5, None]}
    rest = {name: [0.0, 0.0] for name in (*SIGNALS, "carry", "carry_ceiling", "even_carry", "distance")}
    table = pa.table(
        {"candidates": [11, 11], "own_rank": [1, 11], "in_text": [True, False]}
        | {"kind": pa.array(["own", "elsewhere"]).dictionary_encode()}
        | {name: pa.array(values, pa.list_(ROWS.field(name).type.value_type, ASKED)) for name, values in some.items()}
        | {name: pa.array(values, pa.float32()) for name, values in (told | rest).items()}
    )
    items, pairs = of_rows(table, heads=1)
    assert items.values["auc_chance"][0] == pytest.approx([0.5, (0.8 + 0.4) / 2])  # 1 − (rank − 1) / 10
    assert items.values["in_text_chance"][0] == pytest.approx([0, 0.5])
    assert items.counts["known_asked"] == pytest.approx([1, 1])
    assert pairs[""].values["auc_chance"].sum() == pytest.approx(1.1)
    assert items.values["own"].tolist() == [[0.75, 0]]  # 1 − .25; even attention tells nothing of the second
    assert items.counts["told"].tolist() == [1, 0]


def test_what_was_lent_is_gone_with_its_lender_and_counts_once():
    totals = Totals(3)
    of = Membership.of(np.zeros((1, 4), int), np.array([0, 0, 1, 2]))
    for one in of.summed(ItemSums({}, {"n": np.array([1.0, 2.0, 4.0, 8.0])}), "own"):
        totals.add(one)
    lenders = Membership.of(np.zeros((1, 2), int), np.array([1, 2]))
    for one in lenders.summed(ItemSums({}, {"n": np.array([0.5, 0.25])}), "lent"):
        totals.add(one)
    assert totals["n"].value[0, 0] == 15
    assert totals["n"].without[0, 0].tolist() == [12, 10.5, 6.75]


def test_a_class_is_of_the_groups_that_have_tokens_of_it():
    totals = Totals(3)
    of = Membership.of(np.array([[0, 0, 0], [1, 2, 2]]), np.array([0, 1, 2]))
    for one in of.summed(ItemSums({"v": np.ones((1, 3))}, {"n": np.ones(3)}), "own"):
        totals.add(one)
    assert totals.ratio("v", "n").groups[:4].tolist() == [3, 1, 2, 0]


def test_counts_that_are_each_heads_in_some_shards_alone_are_those_of_each_head():
    alike, apart = np.ones(2), np.array([[1.0, 1.0], [1.0, 0.0], [0.0, 0.0]])
    for shards in permutations((alike, apart, alike)):
        totals = Totals(2)
        for counts in shards:
            for one in Membership.of(np.zeros((1, 2), int), np.array([0, 1])).summed(
                ItemSums({}, {"n": counts}), "own"
            ):
                totals.add(one)
        assert totals["n"].value[:, 0].tolist() == [6, 5, 4]
        assert totals["n"].without[:, 0].tolist() == [[3, 3], [2, 3], [2, 2]]


def test_documents_of_one_group_in_several_shards_are_one_group():
    documents = np.arange(3000)
    groups, count = folded(documents, 3000), 1000
    ones = ItemSums({}, {"n": np.ones(1000)})
    totals = Totals(count)
    for some in documents.reshape(3, 1000):
        for one in Membership.of(np.zeros((1, 1000), int), groups[some]).summed(ones, "own"):
            totals.add(one)
    assert totals["n"].value[0, 0] == 3000
    assert (3000 - totals["n"].without[0, 0]).tolist() == np.bincount(groups, minlength=count).tolist()
    kept = PieceSums(None, list(totals.summed()))
    again = Totals(count)
    for one in kept.summed:
        again.add(one)
    assert np.array_equal(again["n"].without, totals["n"].without)
