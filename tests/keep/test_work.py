"""A directory that belongs to one question: claimed by it, and by no other."""

from __future__ import annotations

import os

import pytest

from headscope.errors import InputError
from headscope.keep.lock import LOCK, held, making
from headscope.keep.work import WorkDirectory


def claimed(work: WorkDirectory, question: str):
    """Claim it for a question that is compared word by word."""

    def compare() -> None:
        if work.at(work.asked).read_text() != question:
            raise InputError(f"{work.directory} is another's")

    return work.claimed(question.encode(), compare)


@pytest.fixture
def work(tmp_path):
    return WorkDirectory(tmp_path / "deep" / "work", "asked", own=("given",))


def test_the_first_question_has_it_and_then_only_the_same(work):
    for _ in range(2):
        with claimed(work, "one"):
            assert work.at("asked").read_text() == "one"
    with pytest.raises(InputError, match="another's"), claimed(work, "other"):
        pytest.fail("it is not to be had")
    assert work.at("asked").read_text() == "one"


def test_one_run_has_it_at_a_time(work):
    with claimed(work, "one"), pytest.raises(InputError, match="another run is at work"), claimed(work, "one"):
        pytest.fail("it is not to be had")
    with claimed(work, "one"):
        pass


def test_who_comes_second_finds_the_first_ones_question(work):
    # Both saw an empty directory; the lock decides, and the second looks again.
    work.directory.mkdir(parents=True)
    work.refuse_foreign()
    with claimed(work, "one"):
        pass
    with held(work.directory), pytest.raises(InputError, match="another's"):
        work.claim(b"other", lambda: (_ for _ in ()).throw(InputError("another's")))


@pytest.mark.parametrize(
    ("names", "said"), [("z", r"\(z\)"), ("cba", r"\(a, b, c\)"), ("dcba", r"\(a, b, c\)"), (["given2"], "given2")]
)
def test_a_directory_with_other_files_is_refused_and_left_as_it_is(work, names, said):
    work.directory.mkdir(parents=True)
    for name in names:
        work.at(name).touch()
    with pytest.raises(InputError, match=rf"holds other files .*{said}.*: name an empty directory\."):
        work.refuse_foreign()
    with pytest.raises(InputError, match="holds other files"), claimed(work, "one"):
        pytest.fail("it is not to be had")
    assert sorted(os.listdir(work.directory)) == sorted(names)


def test_what_a_run_leaves_that_was_killed_before_it_had_asked_is_in_nobodys_way(work):
    work.directory.mkdir(parents=True)
    for name in ("given", LOCK, ".unfinished-1-abc.part"):
        work.at(name).touch()
    with claimed(work, "one"):
        assert work.at("asked").read_text() == "one"


def test_a_file_is_no_directory(work):
    work.directory.parent.mkdir()
    work.directory.touch()
    with pytest.raises(InputError, match="is a file: name a directory"), claimed(work, "one"):
        pytest.fail("it is not to be had")


def test_what_was_begun_is_removed_at_any_depth_and_nothing_else(work):
    (work.directory / "parts" / ".unfinished-2-b.part").mkdir(parents=True)
    for name in (".unfinished-1-a.part", "parts/.unfinished-2-b.part/.unfinished-3-c.part", "parts/whole", "asked"):
        work.at(name).touch()
    work.at(".unfinished-link").symlink_to(work.at("parts"))
    work.clean()
    left = {str(path.relative_to(work.directory)) for path in work.directory.rglob("*")}
    assert left == {"parts", "parts/whole", "asked"}


def test_no_part_is_made_in_the_place_of_a_directory_that_is_gone(tmp_path):
    # Of a disk that was unmounted the place is still there, on another disk.
    with pytest.raises(InputError, match="is not there any more"), making(tmp_path / "gone", "model-00000"):
        pass
    assert not (tmp_path / "gone").exists()
    with making(tmp_path, "model-00000") as folder:
        assert folder is not None
        assert folder.is_dir()
