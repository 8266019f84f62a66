"""Files that are whole or not there, and what is never written over."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import sys

import pytest

from headscope import InputError
from headscope.keep.files import (
    directory_to_write,
    file_to_write,
    read_small,
    told,
    whole_folder,
    write_all,
    write_bytes,
    write_whole,
)


@pytest.fixture
def place(tmp_path):
    """A directory with one of everything that is no regular file."""
    (tmp_path / "directory").mkdir()
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
    (tmp_path / "device").symlink_to("/dev/null")
    (tmp_path / "file").write_text("before")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    return tmp_path


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("directory", "is a directory"),
        ("pipe", "is a named pipe"),
        ("socket", "is a socket"),
        ("device", "is a device"),
        ("circle", "symbolic link"),
        ("nowhere/file", "there is no directory"),
        ("file/file", "is no directory"),
        ("x" * 300, "name too long"),
        ("x/" * 5000, "name too long"),
    ],
)
def test_only_a_regular_file_is_written(place, name, said):
    with pytest.raises(InputError, match=r"^.{1,300}$") as refused:
        file_to_write(place / name)
    assert said in str(refused.value).replace("File name", "name").replace("symbolic links", "symbolic link")


@pytest.mark.parametrize("name", ["pipe", "socket", "device", "file", "file/below", "x" * 300])
def test_only_a_directory_is_filled(place, name):
    with pytest.raises(InputError):
        directory_to_write(place / name)


@pytest.mark.parametrize("name", ["directory", "new", "new/below/it"])
def test_a_directory_that_can_be_made_is_not_made_yet(place, name):
    before = sorted(place.iterdir())
    assert directory_to_write(place / name) == place / name
    assert sorted(place.iterdir()) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_what_is_read_only_is_refused_before_any_work(place):
    (place / "file").chmod(0o444)
    with pytest.raises(InputError, match="read-only"):
        file_to_write(place / "file")
    (place / "directory").chmod(0o555)
    for check in (file_to_write, directory_to_write):
        with pytest.raises(InputError, match="read-only"):
            check(place / "directory" / "new")


def test_a_link_is_written_through(place):
    link = place / "link"
    link.symlink_to(place / "file")
    write_bytes(file_to_write(link), b"after")
    assert link.is_symlink()
    assert (place / "file").read_bytes() == b"after"
    write_bytes(link, b"again")  # also without having asked
    assert link.is_symlink()
    assert (place / "file").read_bytes() == b"again"


def test_a_file_that_is_replaced_hands_on_its_mode_and_a_new_one_has_the_users(place):
    (place / "file").chmod(0o640)
    write_bytes(place / "file", b"after")
    assert stat.S_IMODE((place / "file").stat().st_mode) == 0o640
    write_bytes(place / "new", b"")
    (place / "plain").touch()
    assert (place / "new").stat().st_mode == (place / "plain").stat().st_mode


def test_a_write_that_fails_leaves_what_was_there_and_nothing_else(place):
    before = sorted(place.iterdir())

    def fail(beside):
        beside.write_bytes(b"half")
        raise OSError("no room")

    with pytest.raises(OSError, match="no room"):
        write_whole(place / "file", fail)
    assert (place / "file").read_text() == "before"
    assert sorted(place.iterdir()) == before


def test_of_several_files_all_are_written_or_none(place):
    before = sorted(place.iterdir())
    with pytest.raises(FileNotFoundError):
        write_all({place / "file": b"after", place / "new": b"", place / "nowhere" / "file": b""})
    assert (place / "file").read_text() == "before"
    assert sorted(place.iterdir()) == before
    write_all({place / "file": b"after", place / "new": b"x"})
    assert ((place / "file").read_bytes(), (place / "new").read_bytes()) == (b"after", b"x")


def test_a_limit_that_the_disk_sets_is_met_with_nothing_half_written(tmp_path):
    program = (
        "import resource, signal, sys; from pathlib import Path; from headscope.keep.files import write_bytes\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "try: write_bytes(Path(sys.argv[1]), bytes(10_000))\n"
        "except OSError: sys.exit(7)"
    )
    (tmp_path / "file").write_text("before")
    assert subprocess.run([sys.executable, "-c", program, tmp_path / "file"], check=False).returncode == 7
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_text() == "before"


# ---- folders ----


def fill(folder) -> None:
    (folder / "new").write_text("new")


@pytest.mark.parametrize("name", ["directory", "file", "device", "nowhere", "nowhere/below"])
def test_a_folder_takes_its_place_whole_whatever_was_there(place, name):
    (place / "directory" / "old").touch()
    with whole_folder(place / name, place, place) as folder:
        fill(folder)
        assert (place / "file").read_text() == "before"
        assert not (place / name / "new").exists()
    assert [path.name for path in (place / name).iterdir()] == ["new"]
    assert not (place / name).is_symlink()
    assert not list(place.glob(".unfinished*"))


def test_a_folder_that_fails_leaves_what_was_there_and_nothing_else(place):
    (place / "directory" / "old").touch()
    before = sorted(place.rglob("*"))

    def interrupted() -> None:
        with whole_folder(place / "directory", place, place) as folder:
            fill(folder)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert sorted(place.rglob("*")) == before


def test_two_who_write_one_folder_do_not_meet(place):
    with whole_folder(place / "new", place, place) as one, whole_folder(place / "new", place, place) as other:
        (one / "x").write_text("one")
        (other / "x").write_text("other")
    assert (place / "new" / "x").read_text() == "one"  # the last that was finished


# ---- what is read, and what is told ----


@pytest.mark.parametrize(("name", "said"), [("pipe", "no regular"), ("device", "no regular"), ("no", "not there")])
def test_what_may_have_no_end_is_not_read(place, name, said):
    with pytest.raises(InputError, match=rf"is damaged: {name} is {said}"):
        read_small(place / name)


def test_a_very_large_file_is_not_read(place):
    with (place / "file").open("wb") as file:
        file.truncate(2**33)  # takes no room
    with pytest.raises(InputError, match="8,589,934,592 bytes, and at most"):
        read_small(place / "file")


@pytest.mark.parametrize(
    "error", [OSError(28, "No space left on device"), OSError("[Errno 28] Error writing bytes"), OSError("errno 28")]
)
def test_what_keeps_us_from_writing_is_told_in_one_sentence(place, error):
    said = r"cannot be written \(No space left on device\)\. What is finished is kept"
    with pytest.raises(InputError, match=said), told(place):
        raise error


def test_a_directory_that_is_gone_is_not_said_to_keep_anything_or_to_be_full(place):
    gone = place / "gone"
    with (
        pytest.raises(InputError, match=r"gone, or a part of it, is not there any more \(No such file") as of,
        told(gone),
    ):
        (gone / "file").write_bytes(b"")
    assert "room" not in str(of.value)
    assert "is kept" not in str(of.value)


def test_only_a_full_disk_is_asked_for_room(place):
    with pytest.raises(InputError, match="is kept: let it be written, and run"), told(place):
        raise OSError(30, "Read-only file system")
    with pytest.raises(InputError, match="is kept: make room, and run"), told(place):
        raise OSError(122, "Disk quota exceeded")


def test_a_link_that_leads_nowhere_is_no_directory_to_write(place):
    (place / "link").symlink_to("unmounted/disk")
    with pytest.raises(InputError, match=r"link' leads to 'unmounted/disk', which is not there: make that, or name"):
        directory_to_write(place / "link")
