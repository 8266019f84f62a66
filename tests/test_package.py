"""The package: what is built from a checkout holds all that runs, and runs from anywhere."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tarfile
import venv
import zipfile
from importlib.util import find_spec
from pathlib import Path

import httpx
import pytest
import yaml

import headscope

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")


def listed(extra: str) -> set[str]:
    """What an extra installs."""
    body = re.search(rf"^{extra} = \[(.*?)\]$", PROJECT, re.MULTILINE | re.DOTALL)
    assert body is not None
    return set(re.findall(r'"([^"]+)"', body[1]))


def test_all_is_what_the_page_needs_by_the_names_of_the_parts():
    assert listed("all") == {"headscope[app,demo,fast,maps,survey]"}


def test_a_citation_is_of_this_package():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert cited["cff-version"] == "1.2.0"
    assert cited["version"] == headscope.__version__
    readme = (ROOT / "README.md").read_text("utf-8")
    assert f"title   = {{{cited['title']}}}" in readme
    assert f"version = {{{cited['version']}}}" in readme
    assert cited["license"] in PROJECT
    assert cited["repository-code"] in PROJECT


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where a wheel and a source distribution of this checkout lie."""
    for tool in ("build", "hatchling"):
        if find_spec(tool) is None:
            pytest.skip(f"{tool} is not installed (extra: dev)")
    out = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT]
    subprocess.run(command, check=True, capture_output=True, cwd=out)
    return out


def shipped() -> set[str]:
    """The files of the package in this checkout, which the tests run."""
    package = ROOT / "headscope"
    files = (path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {str(path.relative_to(ROOT)) for path in files}


@pytest.mark.slow
def test_wheel_and_source_hold_every_file_of_the_package(built: Path) -> None:
    (wheel,), (source,) = built.glob("*.whl"), built.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as packed:
        inside = {name for name in packed.namelist() if name.startswith("headscope/")}
        (metadata,) = (name for name in packed.namelist() if name.endswith(".dist-info/METADATA"))
        told = packed.read(metadata).decode("utf-8")
    assert inside == shipped()
    assert {
        "headscope/app/static/index.html",
        "headscope/app/static/main.js",
        "headscope/app/static/page.css",
        "headscope/show/static/style.css",
    } < inside
    assert told.startswith("Metadata-Version")
    assert "\nProvides-Extra: all\n" in told
    assert "\nProject-URL: Source" in told
    top = source.name.removesuffix(".tar.gz")
    with tarfile.open(source) as packed_source:
        names = set(packed_source.getnames())
    assert {f"{top}/{name}" for name in shipped()} < names
    assert {f"{top}/{name}" for name in ("LICENSE", "CITATION.cff", "tests/conftest.py", "docs/cli.md")} < names


@pytest.fixture(scope="module")
def installed(built: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The command of an environment of its own, into which the wheel was installed, and which sees torch."""
    where = tmp_path_factory.mktemp("venv")
    venv.create(where, with_pip=True)
    python = where / "bin" / "python"
    (wheel,) = built.glob("*.whl")
    subprocess.run([python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", wheel], check=True)
    site = subprocess.check_output([python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"], text=True)
    # After its own packages: headscope is the wheel's, and what it needs is this environment's.
    Path(site.strip(), "others.pth").write_text("\n".join(one for one in sys.path if one.endswith("site-packages")))
    return [str(where / "bin" / "headscope")]


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which everything starts, without the checkout on any path."""
    monkeypatch.delenv("PYTHONPATH", raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.long
def test_look_runs_from_the_wheel_in_an_empty_folder(installed: list[str], empty: Path) -> None:
    command = [*installed, "look", "--model", "demo", "--token", "banana", "--layer", "1", "-k", "1"]
    said = subprocess.run(command, check=True, capture_output=True, text=True, cwd=empty).stdout
    assert "banana" in said
    assert list(empty.iterdir()) == []


@pytest.mark.long
def test_serve_runs_from_the_wheel_in_an_empty_folder(installed: list[str], empty: Path) -> None:
    command = [*installed, "serve", "--model", "demo", "--port", "0", "--no-browser"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=empty, env=dict(os.environ))
    try:
        assert process.stdout is not None
        address = next(
            found[0] for line in process.stdout if (found := re.search(r"http://127\.0\.0\.1:\d+/", line)) is not None
        )
        health = httpx.get(f"{address}api/v1/health", timeout=60).json()
        assert (health["status"], health["version"]) == ("ok", headscope.__version__)
        page = httpx.get(address, timeout=60).text
        asked = re.findall(r'(?:src|href)="([^":]+\.(?:js|css|svg))"', page)
        assert len(asked) > 3
        for file in asked:
            assert httpx.get(f"{address}{file}", timeout=60).status_code == 200, file
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(30)


def test_a_session_that_has_only_imported_it_is_offered_scope():
    program = "import headscope, sys; print('Scope' in dir(headscope), 'torch' in sys.modules)"
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert run.stdout.split() == ["True", "False"], run.stderr
