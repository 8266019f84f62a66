"""headscope survey, run as a user runs it."""

from __future__ import annotations

import io
import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zoo

from headscope import Scope
from headscope.studies.survey.report.three_lines import of_directory
from headscope.studies.survey.run import Survey
from tests.studies.survey.corpora import sentences, statistics, surveyed, table

TEXTS = sentences(8)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return str(zoo.save("bert", tmp_path_factory.mktemp("bert")))


@pytest.fixture
def run(command, model):
    """Run the command in this process: exit code, standard output, standard error."""
    return lambda *arguments: command("survey", *arguments, "--model", model)


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    """The survey of the texts as lines, by the library."""
    folder = tmp_path_factory.mktemp("plain")
    return surveyed(Scope.from_pretrained(model), write(folder / "t.txt", "txt"), folder / "s")


def write(path, kind):
    if kind == "jsonl":
        path.write_text("\n".join(json.dumps({"text": text}) for text in TEXTS))
    elif kind == "csv":
        path.write_text("text\n" + "\n".join(TEXTS))
    elif kind == "parquet":
        pq.write_table(pa.table({"text": TEXTS}), path)
    elif kind == "conllu":
        path.write_text("\n\n".join(f"# text = {text}\n1\tx\tx\tX\t_\t_\t_\t_\t_\t_" for text in TEXTS))
    else:
        path.write_text("\n".join(TEXTS))
    return path


@pytest.mark.slow(cases=2)
@pytest.mark.parametrize("kind", ["txt", "jsonl", "csv", "parquet", "conllu"])
def test_every_format_gives_the_same_figures(run, plain, tmp_path, kind):
    code, out, err = run(write(tmp_path / f"t.{kind}", kind), "-o", tmp_path / "s")
    assert code == 0, err
    assert "8 texts, " in out
    assert "1 shard in" in out
    assert "of disk" in out
    assert table(tmp_path / "s", "rows").equals(table(plain, "rows"))


def test_ctrl_c_is_told_what_is_kept(run, tmp_path, monkeypatch):
    def interrupted(self, *arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(Survey, "run", interrupted)
    code, _, err = run(write(tmp_path / "t.txt", "txt"), "-o", tmp_path / "s", "-y")
    assert code == 130
    assert "stopped; what was measured is kept, and the same command goes on from there." in " ".join(err.split())


@pytest.mark.slow
def test_it_ends_with_what_may_be_concluded_in_three_lines(run, tmp_path):
    path = tmp_path / "t.txt"
    path.write_text("\n".join(sentences(10)))
    code, out, err = run(path, "-o", tmp_path / "s", "--reference", "layer")
    assert code == 0, err
    *lines, last = out.splitlines()[-4:]
    assert tuple(lines) == of_directory(tmp_path / "s")
    assert last == f"Next: headscope report {tmp_path / 's'} -o {tmp_path / 's'}-report"
    assert lines[0].startswith("More than even attention (space value, reference layer, cosine, the model's own mask)")
    assert lines[0].endswith("untrained twins have, too, is not measured: --null random.")
    code, out, err = run(path, "-o", tmp_path / "s", "--reference", "layer", "--null", "random")
    assert code == 0, err
    assert out.splitlines()[-4].startswith("Stands out (")
    assert "above 5 untrained twins" in out.splitlines()[-4]


@pytest.mark.slow
def test_standard_input_is_kept_and_what_cannot_be_read_is_told(run, tmp_path, monkeypatch):
    long = "the sea " * 60
    raw = "\n".join([*TEXTS, long]).encode() + b"\n\xff\n"
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(raw)))
    code, out, _ = run("-", "-o", tmp_path / "s")
    assert code == 0
    assert "left out: 1 × longer than the model reads" in out
    assert "left out: 1 × not UTF-8" in out
    manifest = json.loads((tmp_path / "s" / "manifest.json").read_text())
    assert manifest["texts"]["left_out"] == {"longer than the model reads": 1, "not UTF-8": 1}
    assert {example["line"] for example in manifest["texts"]["examples"]} == {9, 10}
    assert manifest["texts"]["texts"] == 8
    code, out, _ = run(tmp_path / "s" / "stdin", "-o", tmp_path / "cut", "--truncate")
    assert "9 texts" in out


@pytest.mark.long
def test_samples_are_seeded(run, tmp_path):
    path = write(tmp_path / "t.txt", "txt")
    for name, seed in (("a", 0), ("b", 0), ("c", 5)):
        assert run(path, "-o", tmp_path / name, "--sample", 3, "--seed", seed)[0] == 0
    texts = {name: table(tmp_path / name, "texts").content.tolist() for name in "abc"}
    assert texts["a"] == texts["b"] != texts["c"]
    assert len(texts["a"]) == 3
    assert set(texts["a"]) <= set(TEXTS)


@pytest.mark.long
def test_choices_may_be_repeated(run, tmp_path):
    path = write(tmp_path / "t.txt", "txt")
    arguments = ["--space", "value", "--space", "output", "--metric", "dot", "--metric", "euclidean"]
    arguments += ["--mask", "model", "--mask", "causal", "--reference", "layer", "--null", "rotated"]
    assert run(path, "-o", tmp_path / "s", *arguments)[0] == 0
    found = statistics(tmp_path / "s")
    assert set(found.metric.dropna()) == {"dot", "euclidean"}
    assert set(found["mask"]) == {"model", "causal"}
    assert set(found.space.dropna()) == {"value", "output"}
    assert set(found.reference.dropna()) == {"layer"}
    assert set(found["null"].dropna()) == {"rotated"}


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["absent.txt", "-o", "out"], "no file or directory 'absent.txt'"),
        (["t.txt", "-o", "out", "--space", "taste"], "there is no space 'taste'; open: value"),
        (["t.txt", "-o", "out", "--reference", "isolation"], "there is no reference 'isolation'"),
        (["t.txt", "-o", "out", "--metric", "taxi"], "open: cosine, euclidean, dot"),
        (["t.txt", "-o", "out", "--mask", "half"], "open: model, full, causal"),
        (["t.txt", "-o", "out", "--null", "void"], "open: random, values, labels, uniform, rotated"),
        (["t.txt", "-o", "out", "--sample", "0"], "sample is 0"),
        (["t.txt", "-o", "out", "--format", "xml"], "there is no format 'xml'"),
        (["t.txt", "-o", "out", "--metric", "dot", "--metric", "dot"], "named twice"),
        (["t.txt", "-o", "out", "--space", "unembedding", "--metric", "dot"], "cosine only"),
        (["t.csv", "-o", "out"], "t.csv has no column 'text'"),
        (["empty.txt", "-o", "out"], "there is no text to read: 1 × longer than the model reads"),
        (["t.txt", "-o", "."], "holds other files"),
    ],
)
def test_a_users_mistake_is_one_sentence_and_exit_code_2(run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "t.txt", "txt")
    (tmp_path / "t.csv").write_text("body\none\n")
    (tmp_path / "empty.txt").write_text("the sea " * 60)
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.long
def test_a_missing_extra_is_named(model, tmp_path):
    write(tmp_path / "t.txt", "txt")
    code = (
        "import sys; sys.modules['pyarrow'] = None\n"
        "from headscope.commands.cli import main\n"
        f"main(['survey', {str(tmp_path / 't.txt')!r}, '-o', {str(tmp_path / 's')!r}, '--model', {model!r}])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 2
    assert result.stderr.strip() == 'headscope: a survey needs pyarrow: pip install "headscope[survey]"'


def test_help_does_not_wait_for_torch():
    code = "import sys\nfrom headscope.commands.cli import main\n"
    code += "try: main(['survey', '--help'])\nexcept SystemExit: pass\n"
    code += "sys.exit('torch' in sys.modules or 'pyarrow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0
