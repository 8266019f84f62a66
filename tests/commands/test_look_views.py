"""The views of `headscope look`: through the layers, as tables, JSON and CSV; edits; CSV of every view."""

from __future__ import annotations

import csv
import io
import json
from html import escape

import pytest
import zoo

from headscope import Scope
from headscope.commands.asking import CHOICES

ANSWERED = ["written", "journey", "mixing", "glance", "effects"]


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return str(zoo.save("gpt2", tmp_path_factory.mktemp("gpt2")))


@pytest.fixture(scope="module")
def reading(directory):
    return Scope.from_pretrained(directory).read(zoo.TEXT)


@pytest.fixture
def look(command, directory):
    """Run `headscope look` in this process: exit code, standard output, standard error."""
    return lambda *arguments: command("look", zoo.TEXT, "--model", directory, *arguments)


def answers(reading, token):
    """What the library says of each view."""
    return {
        "journey": reading.journey(),
        "mixing": reading.mixing(),
        "glance": reading.glance(),
        "effects": reading.effects(token),
        "heads": reading.nearest(token, reference="layer"),
        "atlas": reading.atlas(token),
        "attention": reading.attention(token),
        "written": reading.written(),
        "portrait": reading.portrait(token),
        "removed": reading.removed(token),
    }


@pytest.mark.parametrize("view", ANSWERED)
def test_json_says_what_the_library_says(look, reading, view):
    code, out, _ = look("--view", view, "--token", "3", "--json")
    assert code == 0
    told, found = json.loads(out), answers(reading, 3)[view].to_dict()
    assert {name: told[name] for name in found} == found
    assert (told["schema"], told["text"], told["selected"]) == (1, zoo.TEXT, 3)
    assert [token["id"] for token in told["tokens"]] == [token.id for token in reading.tokens]
    assert set(told["tokens"][0]) >= {"position", "id", "text", "special"}


@pytest.mark.parametrize("view", CHOICES["view"])
def test_csv_has_the_rows_of_the_data_frame(look, reading, view):
    options = ["--reference", "layer"] if view == "heads" else []
    code, out, err = look("--view", view, "--token", "3", "--csv", *options)
    assert (code, err) == (0, "")
    rows, frame = list(csv.DictReader(io.StringIO(out))), answers(reading, 3)[view].to_pandas()
    assert list(rows[0]) == list(frame.columns)
    assert len(rows) == len(frame)
    for name in frame.columns:
        for row, value in zip(rows, frame[name], strict=True):
            if isinstance(value, list):
                assert row[name] == " ".join(map(str, value))
            elif isinstance(value, float):
                assert row[name] == "" if value != value else float(row[name]) == value
            else:
                assert row[name] == ("" if value is None else str(value))


@pytest.mark.parametrize("width", [60, 100, 200])
@pytest.mark.parametrize("view", ANSWERED)
def test_tables_stay_within_the_terminals_width(look, view, width, monkeypatch):
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, _ = look("--view", view, "--token", "3")
    assert code == 0
    assert max(map(len, out.splitlines())) <= width
    assert "…" not in out


@pytest.mark.slow
def test_one_head_s_matrices_are_printed_and_another_can_be_asked_for(look, reading):
    for given in ([], ["--head", "2"]):
        head = 2 if given else reading.written(1).head
        out = look("--view", "written", "--layer", "1", *given)[1]
        assert f"L1H{head}, what is written where" in out
        assert f"L1H{head}, what was attended" in out
    code, out, err = look("--view", "written", "--head", "4")
    assert (code, out) == (2, "")
    assert "there is no head 4; the layer's heads are 0 to 3." in err


def test_an_edit_reaches_every_view_and_is_told(look, directory):
    code, out, _ = look("--view", "glance", "--edit", "L1H2=zero", "--edit", "L0H1=mean", "--json")
    assert code == 0
    edited = Scope.from_pretrained(directory).read(zoo.TEXT, edit={(1, 2): "zero", (0, 1): "mean"})
    told = json.loads(out)
    assert told["heads"] == edited.glance().to_dict()["heads"]
    assert told["heads"][4 + 2]["strength"] == 0
    assert told["notes"] == ["While the model read this text, z was replaced in L0H1 (mean), L1H2 (zero)."]
    _, out, _ = look("--edit", "L1H2=zero", "--edit", "L0H1=mean")
    assert told["notes"][0] in " ".join(out.split())


def test_k_is_what_a_journey_compares_between_stages(look, reading):
    told = json.loads(look("--view", "journey", "-k", "3", "--json")[1])
    assert told["k"] == 3
    assert told["tokens"] == reading.journey(3).to_dict()["tokens"]


@pytest.mark.slow
def test_ranks_read_alone_are_shown_where_they_are_asked_for(look, reading, tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSCOPE_CACHE", str(tmp_path))
    with monkeypatch.context() as terminal:
        terminal.setenv("FORCE_COLOR", "1")
        terminal.setenv("COLUMNS", "200")
        code, out, said = look("--view", "journey", "--isolated", "--json")
    assert code == 0
    assert "tokens read alone, once; their streams take" in " ".join(said.split())
    assert json.loads(out)["tokens"] == reading.journey(isolated=True).to_dict()["tokens"]
    _, out, said = look("--view", "journey", "--isolated", "--csv")
    assert said == ""  # they are there
    ranks = [row["isolated_rank"] for row in csv.DictReader(io.StringIO(out))]
    assert ranks == [str(rank) for rank in reading.journey(isolated=True).isolated_rank.T.flatten().tolist()]
    assert "among the vocabulary read alone" in look("--view", "journey", "--isolated")[1]
    assert "--isolated" in " ".join(look("--view", "journey")[1].split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--view", "voyage"], "open: heads, atlas, attention, written, journey, mixing, glance, effects"),
        (["--view", "effects", "--replace-by", "noise"], "open: zero, mean"),
        (["--view", "journey", "-k", "0"], "from 1 to"),
        (["--view", "mixing", "--token", "zebra"], "no token of the text"),
        (["--isolated"], "--isolated is for --view journey, not heads"),
        (["--edit", "L5=zero"], "L5H1=zero"),
        (["--edit", "L9H0=zero"], "layers are 0 to 2"),
        (["--edit", "L0H0=zero", "--edit", "L0H0=mean"], "twice"),
        (["--head", "1"], "--head is for --view written, not heads"),
        (["--csv", "--json"], "--csv and --json do not go together"),
        (["--csv", "--why", "0"], "--csv and --why do not go together"),
    ],
)
def test_a_mistake_is_one_sentence(look, arguments, sentence):
    code, out, err = look(*arguments)
    assert (code, out) == (2, "")
    assert sentence in err
    assert len(err.strip().splitlines()) == 1


@pytest.mark.parametrize("way", ["--json", "--csv"])
def test_what_is_printed_for_programs_is_that_alone_beside_a_file(look, way, tmp_path):
    _, alone, _ = look("--token", "2", way)
    code, out, _ = look("--token", "2", way, "-o", str(tmp_path / "x.html"))
    assert (code, out) == (0, alone)
    assert (tmp_path / "x.html").read_text().startswith("<!doctype html>")


@pytest.mark.parametrize("view", ["heads", *ANSWERED, "atlas", "attention"])
def test_a_view_is_written_into_a_file_instead(look, reading, view, tmp_path):
    file = tmp_path / "x.html"
    code, out, _ = look("--view", view, "--token", "2", "-o", str(file))
    assert (code, out) == (0, f"Written: {file}\n")
    html = file.read_text()
    assert html.startswith("<!doctype html>")
    assert 'id="held"' in html
    captions = [sheet.caption for sheet in answers(reading, 2)[view].sheets()] if view in ANSWERED[1:4] else []
    assert all(escape(caption) in html for caption in captions if "mean over the tokens" not in caption)


@pytest.mark.slow
def test_other_endings_are_as_answers_save_them(look, reading, tmp_path):
    near = reading.nearest(2)
    for ending in (".csv", ".json", ".md", ".svg"):
        assert look("--token", "2", "--output", str(tmp_path / f"view{ending}"))[0] == 0
        near.save(tmp_path / f"answer{ending}")
        assert (tmp_path / f"view{ending}").read_bytes() == (tmp_path / f"answer{ending}").read_bytes()


@pytest.mark.parametrize(("name", "said"), [("x.exe", "not '.exe'"), ("nowhere/x.html", "there is no directory")])
def test_a_file_that_cannot_be_written_is_refused_before_the_model_is_opened(look, tmp_path, name, said):
    code, _, err = look("--model", str(tmp_path / "no model"), "-o", str(tmp_path / name))
    assert code == 2
    assert said in err


@pytest.mark.slow
@pytest.mark.parametrize(("options", "head"), [((), None), (("--why", "1"), 1)])
def test_the_heads_end_with_what_they_write_of_this_text_in_words(reading, look, options, head):
    found = reading.standing(2, 1)
    words = found.says() if head is None else found.says_of(head)
    arguments = ("--token", "2", "--layer", "1", "-k", "2", *options)
    code, printed, _ = look(*arguments)
    assert code == 0
    assert words.replace(" ", "") in "".join(printed.split())
    assert json.loads(look(*arguments, "--json")[1])["verdict"] == words
    assert "verdict" not in json.loads(look(*arguments[: -len(options) or None], "--vector", "v", "--json")[1])
