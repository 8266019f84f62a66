"""Files that can be told from what they became."""

from __future__ import annotations

import os
import shutil

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headscope.errors import InputError
from headscope.keep.checksums import CHECKSUMS, content_fault, intact, outline_fault, seal, write_sealed

ABOUT = {"survey": "s", "shard": 3}
NAMES = ["a", "b"]


@pytest.fixture
def folder(tmp_path):
    for name in NAMES:
        (tmp_path / name).write_bytes(name.encode() * 100)
    seal(tmp_path, NAMES, ABOUT, tmp_path / CHECKSUMS)
    return tmp_path


def test_a_sealed_folder_is_what_it_was(folder):
    assert outline_fault(folder, NAMES, ABOUT) is None
    assert content_fault(folder, NAMES) is None


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda folder: (folder / "b").write_bytes(b"x"), "b has another size than was written"),
        (lambda folder: (folder / "a").unlink(), "a is not there"),
        (lambda folder: (folder / CHECKSUMS).unlink(), f"{CHECKSUMS} cannot be read"),
        (lambda folder: (folder / CHECKSUMS).write_text("[" * 10**6), f"{CHECKSUMS} cannot be read"),
        (lambda folder: (folder / CHECKSUMS).write_text("[]"), "it belongs elsewhere"),
        (lambda folder: seal(folder, NAMES, {"shard": 3}, folder / CHECKSUMS), "it belongs elsewhere"),
        (lambda folder: seal(folder, ["a"], ABOUT, folder / CHECKSUMS), f"{CHECKSUMS} has nothing of b"),
    ],
)
def test_what_shows_without_a_look_into_the_files(folder, spoil, said):
    spoil(folder)
    assert outline_fault(folder, NAMES, ABOUT) == said


def test_other_bytes_of_the_same_number_are_noticed(folder):
    (folder / "b").write_bytes(b"c" * 100)
    assert outline_fault(folder, NAMES, ABOUT) is None
    assert content_fault(folder, NAMES) == "b is not what was written"


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.binary(max_size=40), st.binary(max_size=40), st.text(max_size=5), st.text(max_size=5))
def test_a_file_is_intact_only_as_what_it_was_and_where_it_was(tmp_path, what, other, about, elsewhere):
    path = tmp_path / "below" / "file"
    write_sealed(path, about, lambda beside: beside.write_bytes(what))
    assert intact(path, about)
    assert intact(path, elsewhere) == (about == elsewhere)
    path.write_bytes(other)
    assert intact(path, about) == (what == other)


def test_a_checksum_of_another_file_is_none(tmp_path):
    for name in NAMES:
        write_sealed(tmp_path / name, name, lambda beside: beside.write_bytes(b"the same"))
    shutil.copy(tmp_path / "a.sha256", tmp_path / "b.sha256")
    assert not intact(tmp_path / "b", "b")


def test_a_pipe_is_not_waited_for(tmp_path):
    write_sealed(tmp_path / "a", "a", lambda beside: beside.write_bytes(b"x"))
    for name in ("a", "a.sha256"):
        (tmp_path / name).unlink()
        os.mkfifo(tmp_path / name)
        assert not intact(tmp_path / "a", "a")


def test_a_place_that_cannot_be_is_a_sentence(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match=r"file/below cannot be written \(.*run the same command again"):
        write_sealed(tmp_path / "file" / "below" / "a", "a", lambda beside: None)
