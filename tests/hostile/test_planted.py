"""Each law fails where it is broken on purpose: a suite that nothing can fail proves nothing."""

from __future__ import annotations

import os
import pickle
import shutil
import subprocess
import sys
import time
import traceback
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zoo
from fastapi import FastAPI
from fastapi.testclient import TestClient

from headscope import Scope
from headscope.app import create_app
from tests.hostile import laws, test_command_lines, test_model_directories, test_survey_directories
from tests.hostile.apart import apart
from tests.hostile.test_requests import Asked, check
from tests.model.damage import PICKLES, arm, opens_right_or_is_refused


def test_a_servers_failure_is_seen() -> None:
    laws.answers_in_order(422)
    laws.answers_in_order(503)
    for status in (500, 502, 504):
        with pytest.raises(AssertionError, match=str(status)):
            laws.answers_in_order(status)


@pytest.mark.parametrize(
    "told", ['{}\n  File "/x.py", line 3', "Traceback (most recent call last):", "<Scope at 0x7f00dead>"]
)
def test_a_traceback_is_seen(told: str) -> None:
    with pytest.raises(AssertionError, match="traceback"):
        laws.tells_no_trace(told)


@pytest.mark.parametrize("told", ["KeyError: 'layer'", "x" * 2000 + ".", ""])
def test_what_is_no_sentence_is_seen(told: str) -> None:
    with pytest.raises(AssertionError, match="sentence"):
        laws.is_a_sentence(told)


def test_a_path_of_the_host_is_seen_and_one_that_was_given_is_not(tmp_path: Path) -> None:
    given = f"{tmp_path}/model"
    laws.tells_no_path(f"{given} has no config.json", [tmp_path], [given])
    with pytest.raises(AssertionError, match="was told"):
        laws.tells_no_path(f"{given} is not {tmp_path}/other", [tmp_path], [given])


def test_a_hang_is_seen_and_so_is_work_without_end() -> None:
    with pytest.raises(AssertionError, match=r"it took 0\.\d s, more"), laws.in_time(0.01):
        time.sleep(0.3)
    with pytest.raises(AssertionError, match="of the processor"), laws.in_time(0.01):
        sum(range(10**7))


@pytest.mark.long
def test_memory_without_end_is_seen() -> None:
    with pytest.raises(AssertionError, match="grew by"), laws.in_memory(50):
        peak = len(bytearray(laws._resident() + 2**28))
    assert peak


class _Payload:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> Any:
        return Path.touch, (self.canary,)


def test_a_pickle_that_is_run_is_seen(tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    made = pickle.dumps(_Payload(canary))
    with pytest.raises(AssertionError, match=r"pickle\.find_class"), laws.nothing_run(tmp_path):
        pickle.loads(made)
    with pytest.raises(AssertionError, match="canary"), laws.nothing_run(tmp_path, canary=canary):
        pass


def test_a_program_that_is_started_is_seen_in_whatever_thread(tmp_path: Path) -> None:
    with ThreadPoolExecutor(1) as elsewhere, pytest.raises(AssertionError, match="Popen"), laws.nothing_run(tmp_path):
        elsewhere.submit(subprocess.run, [sys.executable, "-c", ""]).result()


def test_a_file_that_is_written_elsewhere_is_seen(tmp_path: Path) -> None:
    kept, elsewhere = tmp_path / "kept", tmp_path / "elsewhere"
    kept.mkdir()
    with laws.nothing_run(kept):
        (kept / "file").write_text("here")
    with pytest.raises(AssertionError, match="elsewhere"), laws.nothing_run(kept):
        elsewhere.write_text("there")


@pytest.fixture
def broken(scope_of: Any) -> FastAPI:
    """A server with routes that break the laws."""
    scope: Scope = scope_of("bert")
    app = create_app(scope)
    for name, answer in {"fails": 1 / 1, "path": str(Path(__file__).parents[2])}.items():
        app.add_api_route(f"/api/v1/{name}", lambda answer=answer: {"error": answer})
    return app


@pytest.mark.slow
def test_a_route_that_tells_a_path_is_seen(broken: FastAPI) -> None:
    with TestClient(broken, base_url="http://127.0.0.1") as client:
        check(client, Asked("GET", "/api/v1/fails"))
        with pytest.raises(AssertionError, match="was told"):
            check(client, Asked("GET", "/api/v1/path"))


def test_an_answer_without_the_strict_headers_is_seen() -> None:
    bare = FastAPI()
    bare.add_api_route("/api/v1/health", lambda: {"status": "ok"})
    with (
        TestClient(bare, base_url="http://127.0.0.1") as client,
        pytest.raises(AssertionError, match="Content-Security"),
    ):
        check(client, Asked("GET", "/api/v1/health"))


@pytest.mark.long
def test_an_example_that_hangs_grows_or_dies_is_seen_and_the_next_is_tried(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    ways = {
        "hangs": lambda: (tmp_path / "pipe").read_bytes(),
        "grows": lambda: time.sleep(bytearray(3 * 2**30).count(b"x") + 60),
        "dies": lambda: os._exit(3),
        "is well": lambda: None,
    }
    with apart(lambda way: ways[way](), seconds=1) as tried:
        for way, seen in (("hangs", "did not end"), ("grows", "did not end"), ("dies", r"died \(3\)")):
            with pytest.raises(AssertionError, match=seen):
                tried(way)
            tried("is well")


@pytest.fixture
def armed(tmp_path: Path) -> Path:
    """A model beside all that could be run."""
    directory = zoo.save("bert", tmp_path / "bert")
    arm(directory, tmp_path / "left")
    return directory


def test_a_loader_that_unpickles_is_seen(armed: Path, tmp_path: Path) -> None:
    def unpickles(directory: Path) -> str:
        pickle.loads((directory / PICKLES[0]).read_bytes())
        return ""

    attempt = test_model_directories.Attempt(tmp_path, tmp_path / "cache", unpickles)
    with pytest.raises(AssertionError, match=r"pickle\.find_class"):
        attempt(test_model_directories.Example("bert", ()))


def test_a_loader_that_runs_what_lies_beside_is_seen(armed: Path, tmp_path: Path) -> None:
    def runs(directory: Path) -> str:
        exec((directory / "mine.py").read_text("utf-8"))
        return ""

    attempt = test_model_directories.Attempt(tmp_path, tmp_path / "cache", runs)
    with pytest.raises(AssertionError, match="something was written"):
        attempt(test_model_directories.Example("bert", ()))


def test_a_loader_that_refuses_without_a_sentence_is_seen(armed: Path, tmp_path: Path) -> None:
    attempt = test_model_directories.Attempt(tmp_path, tmp_path / "cache", lambda directory: "KeyError: 'layers'")
    with pytest.raises(AssertionError, match="no sentence"):
        attempt(test_model_directories.Example("bert", ()))


def test_another_model_than_transformers_makes_is_seen(armed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Scope, "from_pretrained", lambda _: Scope.from_model(*zoo.build("bert", seed=1)))
    with pytest.raises(AssertionError):
        opens_right_or_is_refused(armed)


@pytest.fixture
def surveyed(tmp_path: Path) -> Path:
    """Where attempts on surveys are made; the manifest of this one is a program."""
    (tmp_path / "whole").mkdir()
    (tmp_path / "whole" / "manifest.json").write_text("__import__('os').open('left', 66)")
    return tmp_path


@pytest.mark.parametrize(
    ("reads", "seals", "seen"),
    [
        (lambda directory: eval((directory / "manifest.json").read_text()), "made to fit", "something was written"),
        (
            lambda directory: pickle.loads((directory / "manifest.pkl").read_bytes()),
            "made to fit",
            r"pickle\.find_class",
        ),
        (lambda directory: "figures of elsewhere", "kept", "other figures"),
    ],
)
def test_a_reader_of_surveys_that_runs_them_or_errs_is_seen(
    surveyed: Path, scope_of: Any, reads: Any, seals: str, seen: str
) -> None:
    attempt = test_survey_directories.Attempt(scope_of("bert"), surveyed, surveyed / "cache", "the figures", reads)
    with pytest.raises(AssertionError, match=seen):
        attempt(test_survey_directories.Example((), seals, "figures"))


def test_a_report_that_a_browser_or_a_spreadsheet_obeys_is_seen(tmp_path: Path) -> None:
    (tmp_path / "report.html").write_text("<p>harmless", "utf-8")
    (tmp_path / "hubs.csv").write_text("label\n'=1+1\n", "utf-8")
    test_survey_directories._holds(tmp_path)
    (tmp_path / "hubs.csv").write_text("label\n=1+1\n", "utf-8")
    with pytest.raises(AssertionError, match=r"hubs\.csv"):
        test_survey_directories._holds(tmp_path)
    (tmp_path / "report.html").write_text(test_survey_directories.MARK, "utf-8")
    with pytest.raises(AssertionError, match="script"):
        test_survey_directories._holds(tmp_path)


def _ends(told: str, code: int) -> Any:
    def run(words: list[str]) -> None:
        sys.stderr.write(told)
        raise SystemExit(code)

    return run


def _raises(words: list[str]) -> None:
    try:
        raise KeyError(words[0])
    except KeyError:
        traceback.print_exc()
        raise SystemExit(1) from None


@pytest.mark.parametrize(
    ("run", "seen"),
    [
        (_raises, "a traceback was told"),
        (_ends("headscope: it is wrong", 2), "no sentence"),
        (_ends("headscope: it is wrong.\n", 3), "exit code is 3"),
        (_ends("headscope: \x1b[31mred.\n", 2), "x1b"),
        (lambda words: Path("model").write_text("spoiled"), "something was written"),
        (lambda words: shutil.copyfile("texts.txt", "nowhere.txt"), "something was written"),
    ],
)
def test_a_command_that_breaks_a_law_is_seen(tmp_path: Path, run: Any, seen: str) -> None:
    (tmp_path / "honest").mkdir()
    (tmp_path / "honest" / "texts.txt").write_text("time flies")
    attempt = test_command_lines.Attempt(tmp_path, tmp_path / "cache", run)
    with pytest.raises(AssertionError, match=seen):
        attempt(test_command_lines.Line(("look",)))
    test_command_lines.Attempt(tmp_path, tmp_path / "cache", _ends("headscope: it is wrong.\n", 2))(
        test_command_lines.Line(("look",))
    )
