"""headscope capacity, run as a user runs it."""

from __future__ import annotations

import csv
import json

import pytest
import zoo

from headscope.studies.capacity import run as capacity_run
from headscope.studies.capacity import sweep
from tests.studies.survey.corpora import sentences, written


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(zoo.save("gpt2", tmp_path_factory.mktemp("gpt2")))


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    return written(tmp_path_factory.mktemp("texts") / "texts.txt", sentences(44), every=2)


@pytest.fixture
def run(command, model):
    """Run the command in this process: exit code, standard output, standard error."""
    return lambda *arguments: command("capacity", model, *arguments)


QUICK = ("--keep", 0, "--keep", 0.5, "--keep", 1, "--site", "z")


@pytest.mark.slow
def test_the_object_has_every_condition_with_intervals(run, texts):
    code, out, err = run("--texts", texts, *QUICK, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["schema"] == 1
    assert told["model"]["capture_error"] < 1e-4
    assert {size["site"] for size in told["sizes"]} == {"head", "z", "residual"}
    for size in told["sizes"]:
        for name in ("participation_ratio", "dimension_95"):
            assert 1 <= size[f"{name}_low"] <= size[name] <= size[f"{name}_high"] <= size["width"]
    # Half is kept on purpose and at random, nothing and everything once; dimension and number; three layers.
    assert len(told["curves"]) == (2 + 2) * 2 * 3
    for one in told["curves"]:
        assert one["moved"]["low"] <= one["moved"]["value"] <= one["moved"]["high"]
        assert one["kl"]["value"] >= -1e-9
    assert told["reproductions"] is None


@pytest.mark.long
def test_of_two_documents_there_is_one_on_each_side_and_no_interval(run, tmp_path):
    two = written(tmp_path / "two.txt", sentences(6), every=3)
    code, out, err = run("--texts", two, *QUICK, "--json")
    assert code == 0, err
    for size in json.loads(out)["sizes"]:
        assert 1 <= size["participation_ratio"] <= size["width"]
        for name in ("participation_ratio", "dimension_95"):
            assert size[f"{name}_low"] is None
            assert size[f"{name}_high"] is None
    code, out, err = run("--texts", two, *QUICK, "-o", tmp_path / "out")
    assert code == 0, err
    filled = out[out.index("How many dimensions are filled") : out.index("What a layer needs")]
    assert "[" not in filled.partition("\n")[2]


@pytest.mark.slow
def test_the_terminal_has_a_table_for_each_question(run, texts):
    code, out, err = run("--texts", texts, *QUICK, "--part", "dimension", "--part", "reproductions")
    assert code == 0, err
    assert "How many dimensions are filled" in out
    assert "What a layer needs: dimensions" in out
    assert "What a layer needs: encodings" not in out
    assert "Mixing (Kobayashi et al. 2021)" in out


@pytest.mark.slow
def test_the_page_has_its_figures_and_their_numbers(run, texts, tmp_path):
    out = tmp_path / "out"
    code, said, err = run("--texts", texts, *QUICK, "-o", out)
    assert code == 0, err
    assert f"Finished: {out / 'capacity.html'}" in said
    page, markdown = (out / "capacity.html").read_text(), (out / "capacity.md").read_text()
    for name in (
        "capacity-sizes",
        "capacity-dimension-by-layer",
        "capacity-number-z-kl",
        "capacity-dimension-z-own_auc",
    ):
        assert f'id="figure-{name}"' in page
        assert f"figures/{name}.svg" in markdown
        assert (out / "figures" / f"{name}.svg").is_file()
        assert len(list(csv.reader((out / "numbers" / f"{name}.csv").open()))) > 3
    told = json.loads((out / "capacity.json").read_text())
    rows = list(csv.DictReader((out / "numbers" / "capacity.csv").open()))
    assert len(rows) == len(told["curves"])
    sizes = list(csv.DictReader((out / "numbers" / "sizes.csv").open()))
    assert len(sizes) == len(told["sizes"])
    ends = [float(sizes[-1][f"participation_ratio{end}"]) for end in ("", "_low", "_high")]
    shown = "{:.1f} [{:.1f}, {:.1f}]".format(*ends)
    assert sizes[-1]["site"] == "residual"
    assert shown in page
    drawn = list(csv.DictReader((out / "numbers" / "capacity-sizes.csv").open()))
    assert [float(drawn[-1][name]) for name in ("value", "low", "high")] == pytest.approx(ends)
    assert float(rows[0]["moved"]) == pytest.approx(told["curves"][0]["moved"]["value"])
    assert "<script" not in page


@pytest.mark.long
def test_an_ended_run_goes_on_and_gives_the_same(run, texts, tmp_path, monkeypatch):
    code, whole, err = run("--texts", texts, *QUICK, "--json")
    assert code == 0, err
    out = tmp_path / "out"
    run("--texts", texts, *QUICK, "-o", out)
    (kept,) = (out / "measured").glob("*.parquet")
    before = kept.read_bytes()

    def fail(*arguments):
        raise AssertionError("nothing is left to measure")

    monkeypatch.setattr(sweep.Sweep, "rows", fail)
    code, again, err = run("--texts", texts, *QUICK, "-o", out, "--json")
    assert code == 0, err
    assert kept.read_bytes() == before
    assert json.loads(again)["curves"] == json.loads(whole)["curves"]


@pytest.mark.long
def test_a_run_that_was_killed_keeps_its_shards_and_goes_on(run, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(capacity_run, "_SHARD_POSITIONS", 30)
    code, whole, err = run("--texts", texts, *QUICK, "--json")
    assert code == 0, err
    out, calls, original = tmp_path / "out", [], sweep.Sweep.rows

    def ends(self, samples, *rest):
        calls.append(len(samples))
        if len(calls) == 2:
            raise KeyboardInterrupt
        return original(self, samples, *rest)

    with monkeypatch.context() as patch:
        patch.setattr(sweep.Sweep, "rows", ends)
        run("--texts", texts, *QUICK, "-o", out)
    assert len(calls) == 2
    assert [path.name for path in (out / "measured").glob("*.parquet")] == ["sweep-00000.parquet"]
    assert not (out / "capacity.html").exists()
    code, again, err = run("--texts", texts, *QUICK, "-o", out, "--json")
    assert code == 0, err
    assert json.loads(again)["curves"] == json.loads(whole)["curves"]
    assert len(list((out / "measured").glob("*.parquet"))) > 1


@pytest.mark.long
def test_damaged_rows_are_measured_again(run, texts, tmp_path, monkeypatch):
    monkeypatch.setattr(capacity_run, "_SHARD_POSITIONS", 30)
    out = tmp_path / "out"
    code, whole, err = run("--texts", texts, *QUICK, "-o", out, "--json")
    assert code == 0, err
    one, other, *_ = sorted((out / "measured").glob("*.parquet"))
    before = one.read_bytes()
    turned = bytearray(before)
    turned[len(turned) // 2] ^= 1
    for damaged in (bytes(turned), before[:100], b"", other.read_bytes()):
        one.write_bytes(damaged)
        code, again, err = run("--texts", texts, *QUICK, "-o", out, "--json")
        assert code == 0, err
        assert json.loads(again) == json.loads(whole)
        assert one.read_bytes() == before


@pytest.mark.long
def test_another_question_is_refused_in_the_same_directory(run, texts, tmp_path):
    out = tmp_path / "out"
    assert run("--texts", texts, *QUICK, "-o", out)[0] == 0
    code, _, err = run("--texts", texts, *QUICK, "--seed", 1, "-o", out)
    assert code == 2
    assert "options.seed is 0 there and 1 here" in err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "no texts are given"),
        (["--texts", "nowhere.txt"], "there is no file or directory 'nowhere.txt'"),
        (["--keep", "2"], "shares from 0 to 1"),
        (["--part", "colour"], "colour"),
        (["--site", "head"], "name both"),
        (["--sample", "1"], "it takes 2 texts"),
    ],
)
def test_a_mistake_is_one_sentence(run, arguments, said, texts):
    given = [] if not arguments or arguments[0] == "--texts" else ["--texts", texts]
    code, out, err = run(*given, *arguments)
    assert code == 2
    assert said in err
    assert "Traceback" not in err
    assert not out
