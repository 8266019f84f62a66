"""What is handed over: texts in whatever holds them, and whole numbers of any library, at every door of the library."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
import torch
import zoo

from headscope import InputError, Scope
from headscope.app import create_app
from headscope.corpus.files import find_sources
from headscope.question.given import bytes_of, in_order, numbers_of, whole
from headscope.studies.capacity.options import CapacityOptions
from headscope.studies.capacity.run import Run
from headscope.studies.claims.run import ClaimsAsked, settle
from headscope.studies.probes import fit_lens, held_out, recovery
from headscope.studies.probes.texts import find_texts
from headscope.studies.survey.contrasts import between
from headscope.studies.survey.headline import headlines, principal
from headscope.studies.survey.on_store import SurveyOnStore
from headscope.studies.survey.opened import open_survey, open_surveys
from headscope.studies.survey.options import SurveyOptions, checked_nulls
from headscope.studies.survey.report.write import write_report
from headscope.studies.survey.run import Survey
from headscope.studies.verify import verify

TEXTS = zoo.CORPUS[:4]
NUMBERS = [np.int64, np.uint8, np.array, torch.tensor, lambda n: torch.tensor(n, dtype=torch.int16)]
HOLDERS = {
    "generator": lambda texts: (text for text in texts),
    "tuple": tuple,
    "dictionary's values": lambda texts: dict(enumerate(texts)).values(),
    "dictionary's keys": lambda texts: dict.fromkeys(texts).keys(),
    "array": np.array,
    "array of objects": lambda texts: np.array(texts, dtype=object),
    "shuffled column": lambda texts: pd.Series(texts[::-1]).iloc[::-1],
    "filtered column": lambda texts: pd.Series(["left out", *texts])[lambda column: column != "left out"],
    "index": pd.Index,
}


@pytest.fixture
def scope(scope_of):
    return scope_of("gpt2")


@pytest.mark.parametrize("hold", HOLDERS.values(), ids=HOLDERS)
class TestTexts:
    """Texts in whatever holds them in an order."""

    def test_are_read_in_their_order(self, scope, hold):
        readings = scope.read_many(hold(TEXTS))
        assert [reading.text for reading in readings] == TEXTS
        assert {type(reading.text) for reading in readings} == {str}
        for reading, text in zip(readings, TEXTS, strict=True):
            assert torch.allclose(reading.z, scope.read(text).z, atol=1e-5)

    def test_make_the_same_bank(self, scope, hold):
        assert torch.equal(scope.bank(hold(TEXTS), size=20).z, scope.bank(TEXTS, size=20).z)


def many():
    draw = np.random.default_rng(0)
    words = sorted({word for text in zoo.CORPUS for word in text.split()})
    return [" ".join(draw.choice(words, 8)) for _ in range(24)]


def test_a_lens_of_a_generator_is_that_of_the_list(scope):
    texts, groups = many(), [n // 2 for n in range(24)]
    one = fit_lens(scope, texts, groups=groups, seed=3, folds=3)
    same = fit_lens(
        scope, (t for t in texts), groups=pd.Series(groups)[::-1].iloc[::-1], seed=np.int64(3), folds=np.int64(3)
    )
    assert torch.equal(one.weight, same.weight)
    assert one.origin == same.origin
    assert json.dumps(same.origin.__dict__)


def test_a_recovery_of_a_generator_is_that_of_the_list(scope):
    texts = many()
    one = recovery(scope, texts, offsets=(0, 1), heads=False, folds=3)
    same = recovery(
        scope, (t for t in texts), groups=np.arange(24), offsets=np.array([0, 1]), heads=False, folds=torch.tensor(3)
    )
    assert torch.equal(one.z.top1.value, same.z.top1.value)
    assert json.dumps(one.to_dict()) == json.dumps(same.to_dict())


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ("one text", "list of strings, not one str"),
        (b"one text", "list of strings, not one bytes"),
        ({"a", "b"}, "a set of texts has no order"),
        (frozenset("ab"), "a set of texts has no order"),
        ({"a": "text"}, "a dict would give its keys"),
        (pd.DataFrame({"text": ["a"]}), "a DataFrame would give its keys"),
        (None, "not one NoneType"),
        (3, "not one int"),
        (np.array("text"), "not one ndarray"),
        (["a", None], "at place 1 is None"),
        (pd.Series(["a", float("nan")]), "at place 1 is nan"),
        ([["a", "b"]], r"at place 0 is \['a', 'b'\]"),
        (np.array([["a"]]), "at place 0 is array"),
    ],
)
def test_what_holds_no_texts_in_an_order_is_refused(scope, texts, said):
    with pytest.raises(InputError, match=said):
        scope.read_many(texts)
    with pytest.raises(InputError, match=said):
        fit_lens(scope, texts)
    with pytest.raises(InputError, match=said):
        recovery(scope, texts)
    if texts is not None and not isinstance(texts, str):  # the project's sentences, and a path
        with pytest.raises(InputError, match=said):
            scope.bank(texts, size=20)


@pytest.mark.parametrize("text", [None, 3, b"text", ["text"], float("nan")])
def test_one_text_is_a_string(scope, scope_of, text):
    with pytest.raises(InputError, match="the text is a string, not"):
        scope.read(text)
    if text is not None:
        with pytest.raises(InputError, match="the decoder_text is a string, not"):
            scope_of("t5/decoder").read("a text", decoder_text=text)


def test_a_string_of_numpy_is_a_string(scope):
    text = np.array(TEXTS)[0]
    assert torch.equal(scope.read(text).z, scope.read(TEXTS[0]).z)
    assert type(scope.read(text).text) is str
    assert scope.read(text).position_of(np.str_("arrow")) == scope.read(text).position_of("arrow")


@pytest.mark.parametrize("of", NUMBERS)
def test_whole_numbers_of_any_library_ask_the_same(scope, of):
    reading = scope.read(TEXTS[0])
    near = reading.nearest(of(2), of(1), reference="layer", k=of(3), at=of(1))
    assert torch.equal(near.ids, reading.nearest(2, 1, reference="layer", k=3, at=1).ids)
    assert json.dumps(near.to_dict()) == json.dumps(reading.nearest(2, 1, reference="layer", k=3, at=1).to_dict())
    plain = reading.nearest(2, 1)
    assert torch.equal(reading.why(plain, of(1), of(5)).split.shares, reading.why(plain, 1, 5).split.shares)
    assert repr(reading.work_out(plain, of(1), of(5))) == repr(reading.work_out(plain, 1, 5))
    assert json.dumps(reading.atlas(of(2)).to_dict()) == json.dumps(reading.atlas(2).to_dict())
    assert json.dumps(reading.nearest_positions(of(2), of(1)).to_dict()) == json.dumps(
        reading.nearest_positions(2, 1).to_dict()
    )
    assert json.dumps(reading.attention(of(2), of(1), "norms").to_dict()) == json.dumps(
        reading.attention(2, 1, "norms").to_dict()
    )
    assert torch.equal(reading.pattern_of(of(1)), reading.pattern_of(1))
    assert torch.equal(reading.vectors("z", of(1)), reading.vectors("z", 1))
    assert torch.equal(reading.seeks(of(2), of(1), of(0), of(2)).ids, reading.seeks(2, 1, 0, 2).ids)
    assert json.dumps(reading.journey(of(4)).to_dict()) == json.dumps(reading.journey(4).to_dict())
    assert json.dumps(reading.effects(of(2)).to_dict()) == json.dumps(reading.effects(2).to_dict())
    assert torch.equal(scope.weights(of(1)).w_o, scope.weights(1).w_o)
    assert len(scope.bank(TEXTS, size=of(20))) == len(scope.bank(TEXTS, size=20))
    assert scope.randomised(of(3)).card == scope.randomised(3).card


@pytest.mark.parametrize("of", [of for of in NUMBERS if of is not np.array])  # which no dictionary takes as a key
def test_edits_name_their_layer_and_head_by_any_whole_number(scope, of):
    edited, plain = (scope.read(TEXTS[0], edit=edit) for edit in ({(of(1), of(2)): "zero"}, {(1, 2): "zero"}))
    assert edited.edit == plain.edit
    assert torch.equal(edited.z, plain.z)
    assert torch.equal(
        scope.read(TEXTS[0], edit={(of(1), "z"): "mean"}).z, scope.read(TEXTS[0], edit={(1, "z"): "mean"}).z
    )


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        ({(True, 0): "zero"}, "an edit is of"),
        ({(0, False): "zero"}, "an edit is of"),
        ({(0, 1.0): "zero"}, "an edit is of"),
        ({(0, "v"): "zero"}, "an edit is of"),
        ({0: "zero"}, "an edit is of"),
        ({(np.int64(9), 0): "zero"}, "there is no head"),
        ([((0, 1), "zero")], "edit is a dictionary"),
        ({(0, 1): np.zeros((9, 8))}, "a tensor or a function, not"),
        ({(0, 1): lambda z: z.numpy()}, "it gives a tensor"),
    ],
)
def test_an_edit_that_names_nothing_is_refused(scope, edit, said):
    with pytest.raises(InputError, match=said):
        scope.read(TEXTS[0], edit=edit)


@pytest.mark.parametrize(
    "tokens", [[1, 3], (1, 3), np.array([1, 3]), torch.tensor([1, 3]), pd.Series([1, 3]), range(1, 4, 2), iter([1, 3])]
)
def test_positions_in_whatever_holds_them_add_an_axis(scope, tokens):
    reading = scope.read(TEXTS[0])
    assert torch.equal(reading.nearest(tokens, 1, k=2).ids, reading.nearest([1, 3], 1, k=2).ids)


def test_one_position_in_an_array_is_a_list_of_one(scope):
    reading = scope.read(TEXTS[0])
    for tokens in ([2], np.array([2]), torch.tensor([2])):
        assert reading.nearest(tokens, 1, k=2).ids.dim() == 3


BOOLS = [True, np.bool_(True), np.array(True), torch.tensor(True)]


@pytest.mark.parametrize("number", [*BOOLS, 1.0, np.float64(1), torch.tensor(1.0), None])
def test_a_bool_and_a_fraction_are_no_position_layer_head_or_k(scope, number):
    reading = scope.read(TEXTS[0])
    near = reading.nearest(2, 1)
    for ask in (
        lambda: reading.nearest(number, 1),
        lambda: reading.nearest([number], 1),
        lambda: reading.nearest(2, number),
        lambda: reading.nearest(2, 1, k=number),
        lambda: reading.why(near, number, 0),
        lambda: reading.why(near, 0, number),
        lambda: reading.attention(2, number),
        lambda: reading.vectors("z", number),
        lambda: reading.map(0, number),
        lambda: reading.map(0, 0, size=number),
        lambda: reading.map(0, 0, seed=number),
        lambda: scope.weights(number),
        lambda: scope.bank(TEXTS, size=number),
        lambda: scope.randomised(number),
        lambda: fit_lens(scope, TEXTS, seed=number),
        lambda: recovery(scope, TEXTS, offsets=[number]),
        lambda: SurveyOptions(seed=number),
        lambda: CapacityOptions(seed=number),
    ):
        with pytest.raises(InputError):
            ask()


@pytest.mark.parametrize("of", NUMBERS)
def test_the_options_of_surveys_are_plain_numbers(of):
    assert json.dumps(SurveyOptions(sample=of(5), seed=of(2), shard_positions=of(64)).to_dict()) == json.dumps(
        SurveyOptions(sample=5, seed=2, shard_positions=64).to_dict()
    )
    assert json.dumps(CapacityOptions(sample=of(5), seed=of(2)).to_dict()) == json.dumps(
        CapacityOptions(sample=5, seed=2).to_dict()
    )


def test_paths_in_whatever_holds_them(scope, tmp_path):
    paths = [tmp_path / f"{n}.txt" for n in range(2)]
    for path in paths:
        path.write_text("the early bird\n")
    assert find_sources(iter(paths)) == find_sources(paths)
    assert find_texts(scope, iter(paths)) == find_texts(scope, paths)
    assert Survey.prepare(scope, iter(paths), tmp_path / "out", SurveyOptions()).census.total > 0
    assert ClaimsAsked.of(iter(map(str, paths)), None, "model", None, 0).texts == tuple(paths)


@pytest.mark.parametrize("path", ["texts.txt", {"texts.txt"}])
def test_one_path_where_a_list_is_expected_is_refused(scope, tmp_path, path):
    for ask in (
        lambda: find_sources(path),
        lambda: find_texts(scope, path),
        lambda: Survey.prepare(scope, path, tmp_path / "out", SurveyOptions()),
        lambda: ClaimsAsked.of(path, None, "model", None, 0),
    ):
        with pytest.raises(InputError, match=r"is a list, not one str|has no order"):
            ask()


def test_what_is_no_whole_number_is_none():
    assert [whole(one) for one in (2**80, -1, np.int8(-1))] == [2**80, -1, -1]
    assert [whole(one) for one in (*BOOLS, "3", b"3", 3.0, [3], np.array([3]), torch.tensor([3]), object())] == [
        None
    ] * 11
    assert numbers_of(pd.Series([2, 1]), "offsets") == [2, 1]
    with pytest.raises(InputError, match=r"at place 1 is True"):
        numbers_of([1, True], "offsets")
    assert in_order((n for n in "ab"), "paths") == ["a", "b"]


def test_the_choices_of_a_survey_in_whatever_holds_them():
    asked = {"spaces": ["unembedding"], "metrics": ["cosine"], "masks": ["model", "full"]}
    plain = SurveyOptions(**{name: tuple(values) for name, values in asked.items()})
    assert SurveyOptions(**asked) == SurveyOptions(**{name: iter(values) for name, values in asked.items()}) == plain
    assert CapacityOptions(parts=iter(["number"]), keep=np.array([0, 1])) == CapacityOptions(
        parts=("number",), keep=(0, 1)
    )
    for refused in (
        lambda: SurveyOptions(masks="full"),
        lambda: SurveyOptions(spaces={"value", "output"}),
        lambda: CapacityOptions(parts="number"),
        lambda: checked_nulls("random"),
    ):
        with pytest.raises(InputError, match=r"is a list, not one str|has no order"):
            refused()


@pytest.mark.slow
def test_nulls_of_a_generator_are_measured(scope, tmp_path):
    (tmp_path / "texts.txt").write_text("the early bird\nthe worm is in the hand\n")
    survey = Survey.prepare(scope, [tmp_path / "texts.txt"], tmp_path / "out", SurveyOptions(references=("layer",)))
    assert survey.plan(iter(["labels"])).shards == survey.plan(["labels"]).shards == 2
    survey.run(iter(["labels"]))
    assert survey.plan(["labels"]).done == 2


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("4G", 4 * 2**30),
        ("512m", 512 * 2**20),
        ("1.5GiB", 3 * 2**29),
        ("1.5 GiB", 3 * 2**29),
        ("2GB", 2 * 10**9),
        ("64Ki", 2**16),
        ("1T", 2**40),
        (123, 123),
        (np.int64(5), 5),
    ],
)
def test_sizes_are_read_as_people_write_them(given, expected):
    assert bytes_of(given, "the memory") == expected


@pytest.mark.parametrize("given", ["", "G", "4X", "-1G", "4", "1e9G", "0G", "0.0001K", 0, -1, 2.5, True, None, "4 G B"])
def test_what_is_no_size_is_refused_with_what_would_be_one(given):
    with pytest.raises(InputError, match=r"the memory is .*; it is a number of bytes with its unit, such as 4G"):
        bytes_of(given, "the memory")


def test_a_scope_has_part_in_the_memory_of_another(scope_of):
    own = scope_of("bert").bench.opened
    first = Scope.from_model(own.model, own.names.tokenizer, cache_bytes="1M")
    second = Scope.from_model(own.model, own.names.tokenizer, cache_bytes=first.memory)
    assert first.memory.budget == 2**20
    second.read("A bird").nearest(1, 0)
    assert first.memory.nbytes == second.memory.nbytes > 0
    with pytest.raises(InputError, match="cache_bytes is 'much'"):
        Scope.from_model(own.model, own.names.tokenizer, cache_bytes="much")


@pytest.mark.parametrize(
    "ask",
    [
        lambda scope: Scope.from_pretrained("demo", progress=True),
        lambda scope: scope.isolate(progress=True),
        lambda scope: scope.read(zoo.TEXT).map(method="pca", size=60, progress=True),
    ],
    ids=["from_pretrained", "isolate", "map"],
)
def test_a_progress_that_cannot_be_told_anything_is_refused(ask, scope_of):
    with pytest.raises(InputError, match="progress is a function that is told how far it is, or None, not True"):
        ask(scope_of("bert"))


def _survey(scope, directory):
    (directory / "texts.txt").write_text("\n".join(TEXTS))
    return Survey.prepare(scope, [directory / "texts.txt"], directory / "out", SurveyOptions())


@pytest.mark.parametrize(
    "ask",
    [
        lambda scope, directory: _survey(scope, directory).run(progress=True),
        lambda scope, directory: settle(scope, ClaimsAsked(), progress=True),
        lambda scope, directory: verify(scope, progress=True),
    ],
    ids=["survey", "claims", "verify"],
)
def test_so_is_that_of_a_study(ask, scope_of, tmp_path):
    with pytest.raises(InputError, match=r"progress is a .* or None, not True"):
        ask(scope_of("bert"), tmp_path)


@pytest.mark.parametrize(
    "ask",
    [
        lambda scope: scope.read(ids=torch.ones(1, 500, dtype=torch.long)),
        lambda scope: scope.read(ids=b"x" * 10_000),
        lambda scope: scope.read(torch.zeros(300)),
        lambda scope: scope.read_many(["a", torch.zeros(300)]),
    ],
    ids=["tensor of texts", "bytes", "no text", "no text among texts"],
)
def test_what_is_large_is_quoted_in_a_line(ask, scope_of):
    with pytest.raises(InputError) as caught:
        ask(scope_of("bert"))
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 250


NO_SCOPE = {
    "a name": lambda scope: "demo",
    "a model": lambda scope: scope.bench.opened.model,
    "a reading": lambda scope: scope.read(zoo.TEXT),
    "nothing": lambda scope: None,
}
OF_A_SCOPE = {
    "fit_lens": lambda given, directory: fit_lens(given, TEXTS),
    "recovery": lambda given, directory: recovery(given, TEXTS),
    "verify": lambda given, directory: verify(given),
    "survey": lambda given, directory: _survey(given, directory),
    "survey on a store": lambda given, directory: SurveyOnStore.prepare(given, [], "s3://of/it", SurveyOptions()),
    "capacity": lambda given, directory: Run.prepare(given, [directory], CapacityOptions()),
    "claims": lambda given, directory: settle(given, ClaimsAsked(), directory),
    "the page": lambda given, directory: create_app(given),
}


@pytest.mark.parametrize("made", NO_SCOPE.values(), ids=NO_SCOPE)
@pytest.mark.parametrize("ask", OF_A_SCOPE.values(), ids=OF_A_SCOPE)
def test_what_is_no_scope_is_told_how_one_is_opened(ask, made, scope, tmp_path):
    given = made(scope)
    with pytest.raises(InputError, match=r"a scope is opened by Scope\.from_pretrained\(name\)") as caught:
        ask(given, tmp_path)
    assert str(caught.value).endswith(" is none.")
    assert repr(given).split("\n")[0][:40].strip() in str(caught.value)


@pytest.fixture(scope="module")
def finished(scope_of, tmp_path_factory):
    directory = tmp_path_factory.mktemp("finished")
    _survey(scope_of("gpt2"), directory).run()
    return directory / "out"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda survey: headlines(survey), "rows is a list of rows, open_survey(DIR).contrasts, not OpenedSurvey"),
        (lambda survey: headlines(str(survey.path)), "rows is a list of rows, open_survey(DIR).contrasts, not '/"),
        (lambda survey: headlines(survey.contrasts[0]), "rows is a list of rows, open_survey(DIR).contrasts, not {"),
        (
            lambda survey: principal(survey.contrasts),
            "found is a list of headlines, as headlines(rows) gives it, not [",
        ),
        (lambda survey: between(survey, survey), "a survey's directory is a string or a path, not OpenedSurvey"),
        (lambda survey: between("s3://of/it", survey.path), "this reads"),
        (lambda survey: open_surveys(survey.path), "directories is a list, not one PosixPath"),
        (lambda survey: open_surveys(str(survey.path)), "directories is a list, not one str"),
        (lambda survey: write_report(str(survey.path), "out"), "directories is a list, not one str"),
        (lambda survey: write_report([survey.path], "out", say=True), "say is a function that is told how far it is"),
    ],
)
def test_what_is_no_survey_or_none_of_its_parts_is_told(ask, said, finished, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError) as caught:
        ask(open_survey(finished))
    assert said in str(caught.value)


@pytest.mark.slow
def test_a_survey_may_be_named_by_a_string_and_its_streams_need_not_be_there(finished):
    survey = open_survey(finished)
    assert between(str(finished), str(finished)).num_rows > 0
    assert headlines(iter(survey.contrasts)) == headlines(survey.contrasts) != []
    assert survey.stage_stat("model", "own_cosine", 0) is None


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda scope, at: Survey.prepare(scope, [at], at / "out", None), "options is a SurveyOptions of headscope."),
        (lambda scope, at: Survey.prepare(scope, [at], at / "out", CapacityOptions()), "options is a SurveyOptions of"),
        (
            lambda scope, at: Survey.prepare(scope, [at], at / "out", SurveyOptions(), part="1/2"),
            "part is a Part of headscope.corpus.run, not '1/2'",
        ),
        (lambda scope, at: Survey.prepare(scope, [at], at / "out", SurveyOptions(), say=True), "say is a function"),
        (
            lambda scope, at: Survey.prepare(scope, ["-"], at / "out", SurveyOptions(), standard_input="a text"),
            "standard_input is a stream of bytes, as open(PATH, 'rb') is, not 'a text'",
        ),
        (lambda scope, at: _survey(scope, at).plan(trial="1"), "trial is '1'; it is a number of seconds, 0 or more"),
        (lambda scope, at: _survey(scope, at).plan(trial=-1), "trial is -1; it is"),
        (lambda scope, at: _survey(scope, at).plan(trial=float("nan")), "trial is nan; it is"),
        (lambda scope, at: Run.prepare(scope, [at], SurveyOptions()), "options is a CapacityOptions of headscope."),
        (lambda scope, at: Run.prepare(scope, [at], CapacityOptions(), say=True), "say is a function"),
        (lambda scope, at: settle(scope, "S1", at), "asked is a ClaimsAsked of headscope.studies.claims.run, not 'S1'"),
        (
            lambda scope, at: settle(scope, ClaimsAsked(), at, hands="ray"),
            "hands measure pieces, as headscope.studies.",
        ),
        (lambda scope, at: fit_lens(scope, TEXTS, hands="ray"), "hands measure pieces"),
        (lambda scope, at: fit_lens(scope, TEXTS, tell=True), "tell is a function that is told how far it is"),
        (lambda scope, at: fit_lens(scope, TEXTS, name=5), "the name is a string, not 5"),
        (lambda scope, at: recovery(scope, TEXTS, hands=5), "hands measure pieces"),
        (lambda scope, at: recovery(scope, TEXTS, tell=5), "tell is a function"),
        (lambda scope, at: recovery(scope, TEXTS, offsets=[]), "offsets is empty: name at least one"),
        (lambda scope, at: held_out([1.0], [1], [1], [1.0]), "x is a Tensor of torch, not [1.0]"),
        (lambda scope, at: scope.read(TEXTS[0]).vectors("x", 0), "there is no vector 'x'; open: z, q, k, v"),
        (lambda scope, at: scope.read(TEXTS[0]).lengths("x"), "there is no layer 'x'"),
        (lambda scope, at: SurveyOptions(column=5), "the column is a string, not 5"),
        (lambda scope, at: SurveyOptions(language_column=5), "the language_column is a string, not 5"),
        (lambda scope, at: CapacityOptions(keep=("a", 1)), "what is kept are shares from 0 to 1, not ['a', 1]"),
        (lambda scope, at: CapacityOptions(keep=(0.5, 0.5)), "a share that is kept is named twice: 0.5, 0.5"),
        (lambda scope, at: CapacityOptions(sites=("heads",)), "the part number merges z and residual"),
        (
            lambda scope, at: CapacityOptions(parts=("reproductions",), keep=(0.5,)),
            "sites and keep are of the parts dimension and number",
        ),
        (lambda scope, at: ClaimsAsked(texts="texts.txt"), "texts is a list, not one str"),
        (lambda scope, at: ClaimsAsked(mask="half"), "there is no mask 'half'"),
        (lambda scope, at: ClaimsAsked(sample=0), "sample is 0; it is a number from 1"),
        (lambda scope, at: ClaimsAsked(seed="a"), "seed is 'a'; it is a number from 0"),
        (lambda scope, at: create_app(scope, survey=CapacityOptions()), "a survey's directory is a string or a path"),
        (lambda scope, at: create_app(scope, host=None), "the host is a string, not None"),
        (lambda scope, at: create_app(scope, allow_hosts="lab.example"), "allow_hosts is a list, not one str"),
        (
            lambda scope, at: create_app(scope, allow_frames="https://lab.example"),
            "allow_frames is a list, not one str",
        ),
        (lambda scope, at: create_app(scope, limits=5), "limits is a Limits of headscope.app.api.limits, not 5"),
        (
            lambda scope, at: create_app(scope, open_model="demo"),
            "open_model is a function that opens a model by its name",
        ),
        (lambda scope, at: create_app(scope, read_only="no"), "read_only is True or False, not 'no'"),
    ],
)
def test_what_is_handed_to_a_study_or_the_page_by_mistake_is_told(ask, said, scope, tmp_path):
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS))
    with pytest.raises(InputError) as caught:
        ask(scope, tmp_path)
    assert said in str(caught.value)
