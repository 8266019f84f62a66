"""A directory on an object store: folders are there once their marker is, and the first to publish one stands."""

from __future__ import annotations

from threading import Thread

import pytest

from headscope.errors import InputError
from headscope.keep.published import PublishedDirectory
from headscope.keep.remote import RemotePath, is_remote, refuse_remote

pytestmark = pytest.mark.slow


@pytest.fixture
def there(bucket, request):
    return PublishedDirectory(RemotePath.of(f"s3://texts/{request.node.name}/a b"), "marker")


def folder(path, says):
    path.mkdir()
    (path / "one").write_text(says)
    (path / "empty").write_bytes(b"")
    (path / "marker").write_text(f"marks {says}")
    return path


def found(there, name, place):
    one = there.published(name)
    there.take(one, place)
    return {path.name: path.read_text() for path in place.iterdir()}


def test_a_folder_is_there_as_a_whole_with_its_marker(there, tmp_path):
    assert there.published("shards/0") is None
    (there.at("shards/0/abc/one")).write(b"begun by somebody who was killed")
    there.look("shards")
    assert there.published("shards/0") is None
    there.publish("shards/0", folder(tmp_path / "whole", "first"))
    assert there.folders("shards") == ["shards/0"]
    assert found(there, "shards/0", tmp_path / "back") == {"one": "first", "empty": "", "marker": "marks first"}


def test_the_first_that_was_published_stands(there, tmp_path):
    names = [f"writer {n}" for n in range(4)]
    writers = [PublishedDirectory(there.root, there.marker) for _ in names]
    folders = [folder(tmp_path / name, name) for name in names]
    at_once = [
        Thread(target=writer.publish, args=("shards/0", one)) for writer, one in zip(writers, folders, strict=True)
    ]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    seen = {found(writer, "shards/0", tmp_path / f"back {n}")["one"] for n, writer in enumerate(writers)} | {
        found(PublishedDirectory(there.root, there.marker), "shards/0", tmp_path / "anew")["one"]
    }
    late = PublishedDirectory(there.root, there.marker)
    late.publish("shards/0", folder(tmp_path / "late", "late"))
    assert found(late, "shards/0", tmp_path / "back late")["one"] in names
    assert len({tuple(sorted(found(there, "shards/0", tmp_path / f"again {n}").items())) for n in range(2)}) == 1
    assert seen <= set(names)


def test_what_is_withdrawn_is_there_no_more_and_can_be_published_anew(there, tmp_path):
    there.publish("shards/0", folder(tmp_path / "one", "one"))
    there.withdraw(there.published("shards/0"))
    for directory in (there, PublishedDirectory(there.root, there.marker)):
        assert directory.published("shards/0") is None
    there.publish("shards/0", folder(tmp_path / "two", "two"))
    assert found(there, "shards/0", tmp_path / "back")["one"] == "two"


def test_a_file_is_published_once(there, tmp_path):
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    there.put_first("file", tmp_path / "a")
    there.put_first("file", tmp_path / "b")
    assert there.at("file").read() == b"a"
    assert there.at("other").read() is None


@pytest.mark.parametrize("given", ["s3://", "s3:///x", "s3://a:b@bucket/x"])
def test_an_address_without_a_bucket_or_with_credentials_is_refused(given):
    with pytest.raises(InputError):
        RemotePath.of(given)


def test_where_only_files_of_this_machine_can_be_an_address_is_refused():
    assert is_remote("s3://bucket")
    with pytest.raises(InputError, match="claims read files of this machine only"):
        refuse_remote(["here", "s3://bucket"], "claims read")
