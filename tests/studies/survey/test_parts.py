"""A survey in parts, by several runs on one directory, is the survey of one run."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import fields, is_dataclass
from itertools import chain

import numpy as np
import pyarrow.parquet as pq
import pytest
import zoo
from aside import HEADSCOPE, Program
from hypothesis import given
from hypothesis import strategies as st

from headscope.commands.cli import main
from headscope.corpus import counted as counting
from headscope.corpus.run import Part
from headscope.errors import InputError
from headscope.studies.survey.opened import open_survey
from headscope.studies.survey.options import SurveyOptions
from headscope.studies.survey.run import Survey, finish
from headscope.studies.survey.store import Store
from tests.studies.survey.corpora import sentences, statistics, surveyed, table, written

SHARDS = {"shard_positions": 30}
TABLES = ("texts", "tokens", "patterns", "rows")


@pytest.fixture
def path(tmp_path):
    return written(tmp_path / "texts.txt", sentences(16), every=4)


@given(st.integers(1, 40), st.integers(0, 60))
def test_parts_are_disjoint_and_all_there_is(of, shards):
    parts = [list(Part(number, of).of_shards(shards)) for number in range(1, of + 1)]
    assert sorted(chain.from_iterable(parts)) == list(range(shards))
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


@pytest.mark.parametrize("given", ["0/3", "4/3", "1", "1/0", "a/b", "-1/3", "1/3/3", "1 / 3", "١/٣", ""])
def test_what_is_no_part_is_told(given):
    with pytest.raises(InputError, match="it is I/N with I from 1 to N, as in 2/8"):
        Part.spelled(given)


@pytest.mark.slow
def test_parts_in_any_order_are_one_survey(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "parts"
    for number in (3, 1, 2):
        survey = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(number, 3))
        plan = survey.plan(["labels"], trial=0)
        assert plan.done == 0
        assert plan.shards == 2 * len(Part(number, 3).of_shards(len(survey.texts)))
        survey.run(["labels"])
        there = [index for index in range(len(survey.texts)) if Store(directory).has(index)]
        assert set(Part(number, 3).of_shards(len(survey.texts))) <= set(there)
        assert not (directory / "statistics.parquet").exists()
    finish(directory)
    whole = surveyed(scope, path, tmp_path / "whole", nulls=["labels"], **SHARDS)
    for name in TABLES:
        assert table(directory, name).equals(table(whole, name))
    assert statistics(directory).equals(statistics(whole))
    assert open_survey(directory).nulls == ("labels",)
    assert not (directory / ".at-work").exists()


@pytest.mark.slow
def test_only_the_first_run_counts_the_texts(scope_of, path, tmp_path, monkeypatch):
    scope, directory = scope_of("bert"), tmp_path / "s"
    counted = []
    take = counting.take_census

    def counts(*arguments):
        counted.append(arguments)
        return take(*arguments)

    monkeypatch.setattr(counting, "take_census", counts)
    first = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(1, 2))
    second = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(2, 2))
    assert len(counted) == 1
    same(first.census, second.census)
    for survey in (second, first):
        survey.run()
    finish(directory)
    whole = surveyed(scope, path, tmp_path / "whole", **SHARDS)
    assert statistics(directory).equals(statistics(whole))


def test_a_kept_census_holds_what_is_known_of_genres(scope_of, tmp_path):
    path, draw = tmp_path / "texts.jsonl", sentences(24)
    genres = ["news", "mail", "one"]
    lines = [
        {"text": text, "document": f"d{n // 2}", "genre": genres[n % 2 if n < 22 else 2]} for n, text in enumerate(draw)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), encoding="utf-8")
    first = Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(**SHARDS))
    assert first.census.genres is not None
    assert first.census.genres.bank is not None
    same(first.census, Survey.prepare(scope_of("bert"), [path], tmp_path / "s", SurveyOptions(**SHARDS)).census)


@pytest.mark.slow
def test_copies_of_texts_give_no_certainty_whichever_part_and_shard_they_stand_in(scope_of, tmp_path):
    """Four texts, eight times each: q was 7e-36."""
    scope, directory = scope_of("bert"), tmp_path / "s"
    path = written(tmp_path / "t.txt", sentences(4, least=6) * 8)
    for number in (1, 2):
        survey = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(number, 2))
        assert "copies of other texts, character for character: 28." in " ".join(survey.plan(trial=0).notes)
        survey.run()
    finish(directory)
    found = open_survey(directory)
    assert any("independent groups of texts: 4." in note for note in found.notes)
    assert (found.manifest["texts"]["same"], found.manifest["texts"]["groups"]) == (28, 4)
    rows = statistics(directory)
    assert rows[["low", "high", "q"]].isna().all(axis=None)
    assert rows.groups.max() == 4
    texts, bank = table(directory, "texts"), pq.read_table(directory / "bank.parquet").to_pandas()
    assert not bank.duplicated(["stratum", "group"]).any()
    group = texts.set_index("text").group
    content = texts.groupby("group").content.first()
    for token in table(directory, "tokens").itertuples():
        outputs = bank.loc[token.asked[~np.isnan(token.asked)].astype(int)]
        assert content[group[token.text]] not in set(content[outputs.group])


def test_texts_that_were_written_again_are_counted_again(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    first = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS))
    os.utime(path, (1, 1))  # the same texts
    same(first.census, Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS)).census)
    written(path, sentences(30, seed=1), every=4)
    with pytest.raises(
        InputError, match="is of 16 texts, and here are 30; the first text that is measured and differs is among 1 to"
    ):
        Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS))


def test_a_damaged_census_is_taken_again(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    first = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS))
    kept = directory / "census.npz"
    whole = kept.read_bytes()
    for damaged in (whole[:-1], whole[:200] + bytes([whole[200] ^ 1]) + whole[201:], b""):
        kept.write_bytes(damaged)
        same(first.census, Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS)).census)
        assert kept.read_bytes() == whole


def same(one, other):
    """Two censuses say the same, whichever was read from a file."""
    assert flat(one) == flat(other)


def flat(value):
    """Plain data, whatever it is made of."""
    if isinstance(value, np.ndarray):
        return str(value.dtype), value.tolist()
    if is_dataclass(value):
        return {field.name: flat(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {key: flat(one) for key, one in value.items()}
    return [flat(one) for one in value] if isinstance(value, (tuple, list)) else value


@pytest.mark.slow
def test_what_is_missing_is_named(scope_of, path, tmp_path):
    scope, directory = scope_of("bert"), tmp_path / "s"
    survey = Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(1, 2))
    survey.run()
    shards = len(survey.texts)
    odd = ", ".join(map(str, range(1, shards, 2)))
    with pytest.raises(InputError, match=rf"is not finished: {shards // 2} of {shards} shards are not there \({odd}\)"):
        finish(directory)
    Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(2, 2)).run()
    Survey.prepare(scope, [path], directory, SurveyOptions(**SHARDS), part=Part(shards, shards)).run(["labels"])
    with pytest.raises(InputError, match=rf"{shards - 1} of {shards} shards of the null labels are not there"):
        finish(directory)
    shutil.rmtree(Store(directory, "labels").folder)
    finish(directory)
    (Store(directory).shard(1) / "rows.parquet").write_bytes(b"")
    with pytest.raises(InputError, match=rf"1 of {shards} shards are not there \(1\)"):
        finish(directory)


def test_finishing_needs_a_survey(tmp_path):
    with pytest.raises(InputError, match="is no directory"):
        finish(tmp_path / "nowhere")
    with pytest.raises(InputError, match="is no survey"):
        finish(tmp_path)


@pytest.mark.slow
def test_eight_at_once_of_which_three_are_killed_and_begun_again(path, tmp_path):
    model, directory = zoo.save("bert", tmp_path / "model"), tmp_path / "s"

    def begun(number):
        command = ["survey", path, "--model", model, "--shard-positions", 20, "-o", directory, "--part", f"{number}/8"]
        return Program(HEADSCOPE, *command, folder=tmp_path / f"said-{number}")

    runs = {number: begun(number) for number in range(1, 9)}
    runs[1].until(lambda: len(list((directory / "shards").glob("0*"))) > 3)
    for number in (2, 5, 8):
        runs[number].kill()
        runs[number].wait()
        runs[number] = begun(number)
    for number, run in runs.items():
        assert run.wait() == 0, run.err
        assert (
            f"Part {number}/8 is there. Once all parts are: headscope survey --finish {directory}" in run.out + run.err
        )
    shutil.rmtree(model)  # it is not asked any more
    done = Program(HEADSCOPE, "survey", "--finish", directory, folder=tmp_path / "finishing")
    assert done.wait() == 0, done.err
    assert f"Finished: {directory}/statistics.parquet" in done.out + done.err
    model = zoo.save("bert", tmp_path / "model")
    command = ["survey", path, "--model", model, "--shard-positions", 20, "-o", tmp_path / "whole"]
    alone = Program(HEADSCOPE, *command, folder=tmp_path / "alone")
    assert alone.wait() == 0, alone.err
    for name in TABLES:
        assert table(directory, name).equals(table(tmp_path / "whole", name))
    assert statistics(directory).equals(statistics(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--finish", "s", "texts.txt"], "stands alone"),
        (["--finish", "s", "-o", "s"], "stands alone"),
        (["texts.txt"], "name the texts, and the survey's directory"),
        (["-o", "s"], "name the texts, and the survey's directory"),
        (["texts.txt", "-o", "s", "--part", "3/2"], "it is I/N"),
    ],
)
def test_the_command_line_says_what_is_missing(capsys, arguments, said):
    with pytest.raises(SystemExit) as end:
        main(["survey", *arguments])
    assert end.value.code == 2
    assert said in " ".join(capsys.readouterr().err.split())
