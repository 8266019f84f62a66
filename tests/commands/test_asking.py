"""Command lines that ask for nothing sensible: one sentence, an exit code, and nothing written."""

from __future__ import annotations

import itertools
import sys
import typing

import pytest
import typer
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope.commands.asking import CHOICES, NEEDS
from headscope.commands.cli import app
from headscope.model.opening.loading import DTYPES
from headscope.model.opening.packing import Quantize
from headscope.question.choices import (
    CANDIDATES,
    CAPACITY_PARTS,
    ENGINES,
    FORMATS,
    MASKS,
    METHODS,
    METRICS,
    NULLS,
    REFERENCES,
    SITES,
    SPACES,
    STACKS,
    TARGETS,
    VECTORS,
    Replacement,
    Theme,
    Weigh,
)
from headscope.reading.offers import offers

COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]
LIBRARY = {
    "view": ("heads", *(offers().keys() - {"nearest", "nearest_positions"})),  # which the heads' view shows
    "weigh": typing.get_args(Weigh),
    "replace_by": typing.get_args(Replacement),
    "space": SPACES,
    "reference": REFERENCES,
    "metric": METRICS,
    "vector": VECTORS,
    "candidates": CANDIDATES,
    "mask": MASKS,
    "stack": STACKS,
    "dtype": (*DTYPES, "auto"),
    "method": METHODS,
    "theme": typing.get_args(Theme),
    "target": TARGETS,
    "part": CAPACITY_PARTS,
    "site": SITES,
    "null": NULLS,
    "engine": ENGINES,
    "text_format": ("auto", *FORMATS),
    "quantize": typing.get_args(Quantize),
}
# What has fewer open values there than elsewhere; which, the library says.
NARROWER = {("map", "space"), ("map", "metric"), ("survey", "space")}
OPTIONS = [
    (command, option.name) for command, made in COMMANDS.items() for option in made.params if option.name in CHOICES
]


def refused(run, *arguments):
    """The one sentence of a command line that is refused as the user's mistake."""
    code, out, err = run(*arguments)
    assert code == 2, (arguments, out, err)
    assert out == b""
    sentence = err.decode()
    assert sentence.startswith("headscope: ")
    assert sentence.count("\n") == 1
    assert len(sentence) < 700
    return sentence


def flag_of(command, name):
    return max(next(o for o in COMMANDS[command].params if o.name == name).opts, key=len)


@pytest.mark.parametrize("name", CHOICES)
def test_the_open_values_are_the_librarys(name):
    assert set(CHOICES[name]) == set(LIBRARY[name])


@pytest.mark.parametrize(("command", "name"), OPTIONS)
def test_help_and_the_tab_key_show_every_open_value(command, name):
    option = next(option for option in COMMANDS[command].params if option.name == name)
    shown = option.metavar.strip("[]").split(" | ")
    missing = [value for value in CHOICES[name] if value not in shown]
    assert not missing or (command, name) in NARROWER
    assert set(shown) <= set(CHOICES[name])
    context = COMMANDS[command].context_class(COMMANDS[command])
    assert [item.value for item in option.shell_complete(context, "")] == shown
    assert next(item.value for item in option.shell_complete(context, shown[0][:3])) == shown[0]


@pytest.mark.parametrize(("typed", "offered"), [("headscope su", "survey"), ("headscope look --metric co", "cosine")])
def test_a_shell_is_told_what_goes_on(run, monkeypatch, typed, offered):
    monkeypatch.setattr(sys, "argv", ["headscope"])
    monkeypatch.setenv("_HEADSCOPE_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", typed)
    monkeypatch.setenv("COMP_CWORD", str(typed.count(" ")))
    code, out, err = run()
    assert (code, out.decode().split(), err) == (0, [offered], b"")


@pytest.mark.slow(cases=12)
@pytest.mark.parametrize(("command", "name"), OPTIONS)
def test_a_value_that_is_none_is_refused_with_those_that_are_open(run, tmp_path, monkeypatch, command, name):
    monkeypatch.chdir(tmp_path)
    needed = {"map": ["-o", "x.svg"], "lens": ["x", "-o", "y"], "survey": ["x", "-o", "y"], "recovery": ["x"]}
    for value in ("nosuch", "", "x" * 10_000):
        sentence = refused(run, command, *needed.get(command, []), flag_of(command, name), value)
        assert all(one in sentence for one in CHOICES[name])
    assert not list(tmp_path.iterdir())


def test_the_table_of_needs_names_options_that_there_are():
    for command, needs in NEEDS.items():
        names = {option.name: option for option in COMMANDS[command].params}
        for name, others in needs.items():
            assert name in names
            for other, values in others:
                assert other in names
                assert set(values) <= {None, True, False, *CHOICES.get(other, ())}


@pytest.mark.parametrize("view", CHOICES["view"][1:])
def test_a_view_goes_with_the_choices_of_its_question(view):
    needs = {name: dict(others)["view"] for name, others in NEEDS["look"].items() if "view" in dict(others)}
    goes = {{"replace_by": "replaced_by"}.get(name, name) for name, views in needs.items() if view in views}
    always = {"hubs"} if view == "atlas" else set()  # on the page chance stands beside an atlas unasked
    assert goes == set(offers()[view].choices) - {"token"} | always


VIEW_OPTIONS = {
    "layer": "1", "weigh": "norms", "space": "output", "reference": "input", "metric": "dot", "position": None,
    "candidates": "words", "vector": "v", "at": "1", "why": "1", "hubs": None, "k": "3", "isolated": None,
    "replace_by": "mean",
}  # fmt: skip


@pytest.mark.parametrize("name", VIEW_OPTIONS)
@pytest.mark.parametrize("view", CHOICES["view"])
def test_a_view_takes_the_options_that_it_uses_and_names_the_views_of_others(run, view, name):
    used = dict(NEEDS["look"][name])["view"]
    flag, value = flag_of("look", name), VIEW_OPTIONS[name]
    asked = ["look", "--view", view, flag, *([value] if value else [])]
    if view not in used:
        sentence = refused(run, *asked)
        assert f"{flag} is for --view {' or '.join(', '.join(used).rsplit(', ', 1))}, not {view}." in sentence
    else:  # the next mistake is found
        code, _, err = run(*asked, "--model", "./nosuch")
        assert (code, err) == (1, b"headscope: there is no directory './nosuch'.\n")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("look --csv --json", "--csv and --json do not go together"),
        ("look --bank x", "--bank is for --hubs: give both"),
        ("look --lens x", "--lens is for --space fitted, not value"),
        ("look --decoder-text x", "--decoder-text is for --stack decoder"),
        ("look --stack encoder --decoder-text x", "is for --stack decoder, not encoder"),
        ("look --token 99999999999999999999999999", "no position of 26 digits"),
        ("look --layer 1e3", "'--layer'"),
        ("look --edit L1H1=2", "L5H1=zero"),
        ("look --edit L99999999999999H1=zero", "L5H1=zero"),
        (
            "look a b",
            "unexpected extra argument(s) (b): a text of several words stands in quotation marks; headscope look",
        ),
        ("map a b -o x.svg", "a text of several words stands in quotation marks; headscope map --help"),
        ("models a b", "unexpected extra argument(s) (b); headscope models --help"),
        ("look --nosuch", "no such option: --nosuch"),
        (
            "look --space embedding --no-position",
            "--no-position is for --space value, output, key or query, not embedding",
        ),
        ("look --space embedding --position", "headscope: --position is for --space"),
        ("look --view attention --no-position", "--no-position is for --view"),
        ("survey x -o y --space embedding --no-position", "--no-position is for --space"),
        ("look --chat --no-special", "--no-special and --chat do not go together"),
        ("map -o x.svg --ids 3 --no-special", "--no-special and --ids do not go together"),
        ("look --model", "requires an argument"),
        ("look --revision main --model .", "leave 'main' out"),
        ("look --revision main", "a revision needs the name of a model"),
        ("nosuch", "no such command 'nosuch'"),
        ("map", "missing option '--output'"),
        ("map -o x.gif", "not '.gif'"),
        ("map -o x", "a file without an ending"),
        ("map -o x.svg --method pca --perplexity 3", "--perplexity is for --method tsne, not pca"),
        ("map -o x.csv --theme dark", "--theme is for a drawing"),
        ("map -o x.svg --space embedding --at 1", "--at is for --space"),
        ("serve --port 65536", "'--port'"),
        ("serve --port -1", "'--port'"),
        ("serve --host nosuch.invalid --no-browser", "cannot listen on 'nosuch.invalid'"),
        ("serve --host " + "x" * 10_000, "cannot listen on"),
        ("serve --host " + "x." * 5_000, "cannot listen on"),
        ("models demo", "did you mean --verify demo"),
        ("models --device cpu", "--device is for --verify"),
        ("models --dtype auto", "--dtype is for --verify"),
        ("survey", "name the texts, and the survey's directory"),
        ("survey x", "name the texts, and the survey's directory"),
        ("survey x -o y --seed -1", "'--seed'"),
        ("survey x -o y --seed 99999999999999999999", "'--seed'"),
        ("survey x -o y --sample 0", "sample is 0"),
        ("survey x -o y --shard-positions 0", "shard_positions is 0"),
        ("survey x -o y --format text --column z", "--column is for --format auto, jsonl, csv or parquet, not text"),
        ("survey x -o y --format conllu --document-column z", "--document-column is for --format"),
        ("survey x -o y --space embedding --reference input", "--reference is for --space"),
        ("survey x -o y --space fitted", "does not measure the space fitted"),
        ("survey x -o y --mask full --mask full", "named twice"),
        ("survey x -o /dev/null", "is no directory but a device"),
        ("report", "missing argument"),
        ("report x -o y", "x"),
        ("report x -o /dev/zero", "is no directory but a device"),
        ("claims --survey x --seed 3", "--seed and --survey do not go together"),
        ("claims --survey x --sample 3", "--sample and --survey do not go together"),
        ("claims --survey x --texts y", "--texts and --survey do not go together"),
        ("claims -o /dev/null", "is no directory but a device"),
        ("capacity --part reproductions --keep 0.5", "--keep is for --part dimension or number, not reproductions"),
        ("capacity --part reproductions --site z", "--site is for --part"),
        ("capacity --keep 2", "shares from 0 to 1"),
        ("capacity --keep nan", "shares from 0 to 1"),
        ("capacity --sample 1", "sample is 1"),
        ("capacity --site head", "name both"),
        ("capacity --texts x -o /dev/null", "is no directory but a device"),
        ("lens x", "missing option"),
        ("lens x -o /dev/null", "is a device"),
        ("lens x -o .", "is a directory"),
        ("lens x -o nowhere/lens", "there is no directory"),
        ("lens x -o " + "n" * 300, "of 300 characters, is too long for a path"),
        ("lens " + "n" * 300 + " -o y", "of 300 characters, is too long for a path"),
        ("look --model " + "x" * 10_000, "of 10,000 characters, is too long for a path"),
        ("look --model " + "x/" * 5_000, "of 10,000 characters, is too long for a path"),
        ("look --space fitted --lens " + "x" * 300, "is too long for a path"),
        ("look --hubs --bank " + "x" * 300, "is too long for a path"),
        ("look --model a\0b", "'a\\x00b' is no path: it has a null character"),
        ("look --model ~nosuchuser/x", "'~nosuchuser/x' is nowhere"),
        ("serve --survey " + "x" * 300, "is too long for a path"),
        ("report " + "x" * 300 + " -o y", "is too long for a path"),
        ("serve --memory much", "the memory is 'much'; it is a number of bytes with its unit"),
        ("look --memory 4", "such as 4G, 512M or 1.5GiB"),
        ("recovery x --offset a", "'--offset'"),
    ],
)
def test_a_mistake_is_one_sentence_before_a_model_is_waited_for(run, tmp_path, monkeypatch, line, said):
    monkeypatch.chdir(tmp_path)
    opened = "headscope.scope.Scope.from_pretrained"
    if "--revision" not in line:
        monkeypatch.setattr(opened, lambda *_, **__: pytest.fail("a model was opened"))
    assert said in refused(run, *line.split()).replace("File name", "name")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("text", ["caf\udce9", "\udcff", "a" * 10_000 + "\udce9"])
@pytest.mark.parametrize(
    "before", ["look", "look --token", "map -o x.svg --with", "look --stack decoder --decoder-text"]
)
def test_bytes_that_are_no_text_are_refused(run, before, text):
    assert "not UTF-8" in refused(run, *before.split(), text)


@pytest.mark.parametrize("name", ["caf\udce9", "\x1b[31m", "a b", "-", "=1"])
def test_a_model_of_any_name_is_one_sentence(run, name):
    code, out, err = run("look", "--model", name)
    assert (code, out) == (1, b"")
    assert err.count(b"\n") == 1
    assert b"\x1b" not in err
    assert b"Traceback" not in err


WORDS = st.sampled_from(
    [
        *COMMANDS, *itertools.chain.from_iterable(o.opts for made in COMMANDS.values() for o in made.params),
        "x", "", "-", "--", "-1", "0", "1", "99999999999999999999", "nan", "inf", "1e400", "value", "atlas",
        "caf\udce9", "/dev/null", "/dev/full", ".", "nowhere/x", "é", "\x1b[31m", "[/b]", "=1", "L0H0=zero",
    ]
)  # fmt: skip


@pytest.mark.slow
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(list(COMMANDS)), st.lists(WORDS, max_size=6))
def test_no_command_line_ends_in_a_traceback(run, tmp_path, monkeypatch, command, words):
    monkeypatch.chdir(tmp_path)
    if {"-y", "--help", "--version"} & set(words):
        return
    model = [] if command in ("report", "claims", "capacity", "models") else ["--model", "./nosuch"]
    if command in ("claims", "capacity"):
        words = ["./nosuch", *words]
    code, _, err = run(command, *words, *model)
    assert b"Traceback" not in err
    assert b"\x1b" not in err
    if code:
        assert code in (1, 2)
        assert err.count(b"\n") == 1
    assert [path.name for path in tmp_path.iterdir()] in ([], ["x"])
