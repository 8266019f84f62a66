"""A small JSON file that says what a directory is of: read with care, sealed, compared."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headscope.errors import InputError
from headscope.keep.record import Count, differences, faults, identity, read_record, seal_fault, sealed

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text('aé"\n'),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("xyz"), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.text("abc", min_size=1), VALUES, max_size=4)


@given(RECORDS)
def test_what_is_sealed_is_intact_after_a_file_too(record):
    assert seal_fault(record) == "it has no checksum"
    again = json.loads(json.dumps(sealed(record)))
    assert seal_fault(again) is None
    assert identity(again) == identity(record)


@given(RECORDS, RECORDS)
def test_no_record_is_intact_with_anothers_checksum(one, other):
    fault = seal_fault({**sealed(one), **other, "checksum": sealed(one)["checksum"]})
    assert fault == (None if identity({**one, **other}) == identity(one) else "its checksum differs")


@pytest.mark.parametrize("text", ["null", "3", "[]", '"x"'])
def test_what_is_no_object_says_nothing(tmp_path, text):
    (tmp_path / "r.json").write_text(text)
    assert read_record(tmp_path / "r.json") == {}


@pytest.mark.parametrize(
    ("text", "said"),
    [(b"", "no JSON"), (b"\xff", "no JSON"), (b"[" * 500_000, "nested without end"), (b'{"a": Infinity}', "no number"),
     (b'{"a": "\\ud800"}', "no JSON")],
)  # fmt: skip
def test_what_cannot_be_read_is_a_sentence(tmp_path, text, said):
    (tmp_path / "r.json").write_bytes(text)
    with pytest.raises(InputError, match=rf"r\.json is damaged \(.*{said}"):
        read_record(tmp_path / "r.json")


def test_a_file_that_is_not_there_is_none_and_a_pipe_is_not_waited_for(tmp_path):
    assert read_record(tmp_path / "r.json") is None
    (tmp_path / "file").touch()
    assert read_record(tmp_path / "file" / "r.json") is None
    os.mkfifo(tmp_path / "r.json")
    with pytest.raises(InputError, match=r"r\.json is no regular file"):
        read_record(tmp_path / "r.json")
    with pytest.raises(InputError, match="cannot be read"):
        read_record(tmp_path / ("x" * 300))


def test_what_differs_is_named_by_its_place():
    before = {"model": {"name": "a", "layers": 2}, "options": {"seed": 0, "later": 1}, "texts": {"n": 1, "more": 2}}
    now = {"model": {"name": "b", "layers": 3}, "options": {"seed": 0}, "texts": {"n": 1, "less": 3}}
    assert list(differences(before, now, {"model.name"}, whole="options")) == [
        "model.layers is 2 there and 3 here",
        "texts.less is null there and 3 here",
        "options.later is 1 there and null here",
    ]
    assert not list(differences(before, {"texts": {"n": 1}}, (), whole="options"))  # what is not asked for yet


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ({"n": 1, "s": ["a"], "m": {"x": None}}, []),
        ({"n": 0, "s": ["a"], "m": {}}, ["n is 0"]),
        ({"n": True, "s": [1, "a", 2], "m": {}}, ["n is true", "s.0 is 1", "s.2 is 2"]),
        ({"n": 2**31, "s": "a", "m": []}, ["n is 2147483648", 's is "a", and no list', "m is [], and no object"]),
        ({"s": [], "m": {"x": "a", "y": 1.5}}, ["n is missing", 'm.x is "a"']),
        (7, ["it is 7, and no object"]),
    ],
)
def test_what_is_not_as_its_fields_are_described_is_named(value, said):
    assert list(faults(value, {"n": Count(1), "s": [str], "m": {str: (float, type(None))}})) == said
