"""What a project is joined by: forms that ask for what is needed, and workflows that run what the checkout runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

ROOT = Path(__file__).parents[1]
PROJECT = (ROOT / "pyproject.toml").read_text("utf-8")
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")


def steps(workflow: Path) -> list[dict[str, Any]]:
    jobs = yaml.safe_load(workflow.read_text("utf-8"))["jobs"]
    return [step for job in jobs.values() for step in job["steps"]]


SCHEMAS = {
    "github-workflows": WORKFLOWS,
    "github-issue-forms": FORMS,
    "github-issue-config": [ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml"],
    "citation-file-format": [ROOT / "CITATION.cff"],
}


@pytest.mark.parametrize("schema", SCHEMAS)
def test_its_files_are_what_their_readers_take(schema, tmp_path):
    check = pytest.importorskip("check_jsonschema", reason="check-jsonschema needs Python 3.11 or later (extra: dev)")
    asked = ["--builtin-schema", f"vendor.{schema}"]
    with pytest.raises(SystemExit) as left:
        check.main([*asked, *map(str, SCHEMAS[schema])])
    assert left.value.code == 0

    spoiled = tmp_path / "spoiled.yml"
    spoiled.write_text(SCHEMAS[schema][0].read_text("utf-8") + "\nsurely-no-field-of-it: 1\n", "utf-8")
    with pytest.raises(SystemExit) as left:
        check.main([*asked, str(spoiled)])
    assert left.value.code == 1


def test_workflows_have_no_hole_that_their_own_linter_knows():
    zizmor = shutil.which("zizmor", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    if zizmor is None:
        pytest.skip("zizmor is not installed (extra: dev)")
    done = subprocess.run([zizmor, "--offline", "--no-progress", ".github"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_a_form_asks_what_verify_says(form):
    body = yaml.safe_load(form.read_text("utf-8"))["body"]
    assert "headscope models MODEL --verify" in [field["attributes"]["label"] for field in body]
    assert len({field["id"] for field in body}) == len(body)


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.stem)
def test_actions_are_of_a_version_and_may_only_read(workflow):
    used = [step["uses"] for step in steps(workflow) if "uses" in step]
    assert used
    assert [action for action in used if not re.fullmatch(r"[\w./-]+@v\d+(\.\d+)*", action)] == []
    assert yaml.safe_load(workflow.read_text("utf-8"))["permissions"] == {"contents": "read"}


def test_every_python_that_is_promised_is_tested():
    tested = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text("utf-8"))
    pythons = tested["jobs"]["tests"]["strategy"]["matrix"]["python"]
    assert pythons == re.findall(r'"Programming Language :: Python :: (3\.\d+)"', PROJECT)
    assert f'requires-python = ">={pythons[0]}"' in PROJECT


def test_the_tests_are_run_by_readmes_own_command():
    readme = (ROOT / "README.md").read_text("utf-8")
    (command,) = re.findall(r"^python -m pip install .* && python -m pytest$", readme, re.MULTILINE)
    run = [step.get("run") for step in steps(ROOT / ".github" / "workflows" / "tests.yml")]
    assert command in run
    assert ".ci/oldest" in run
    assert ".ci/packed" in run


def test_only_a_tag_publishes_and_without_a_password():
    release = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text("utf-8"))
    assert release[True] == {"push": {"tags": ["v*"]}}  # YAML reads `on` as true
    assert release["jobs"]["publish"]["permissions"] == {"id-token": "write"}
    assert "secrets" not in str(release)


def test_what_is_checked_before_a_commit_is_what_is_checked_before_a_merge():
    kept = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text("utf-8"))
    entries = {hook["entry"].split()[0] for repository in kept["repos"] for hook in repository["hooks"]}
    assert entries == {"ruff", "mypy"}
    for tool in entries:
        assert re.search(rf"^ *{tool}( |$)", (ROOT / ".ci" / "run").read_text("utf-8"), re.MULTILINE)


def test_contributing_names_commands_and_files_that_are_there():
    told = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    named = re.findall(r"`((?:tests|docs|headscope|\.ci|\.github)/[\w./-]+)`", told)
    run = re.findall(r"^python -m pytest -n 0 -x (\S+)", told, re.MULTILINE)
    assert named
    assert run
    for path in (*named, *run):
        assert (ROOT / path).exists(), path


@pytest.mark.parametrize(
    ("module", "reason", "passes"),
    [
        ("tests.neighbors.test_backends", "needs a GPU", True),
        ("tests.neighbors.test_backends", "numba cannot be imported", False),
        ("tests.app.test_memory", "needs a GPU", False),
    ],
)
def test_before_a_merge_nothing_is_skipped_for_a_new_reason(tmp_path, module, reason, passes):
    told = tmp_path / "tests.xml"
    told.write_text(
        f'<testsuite><testcase classname="{module}" name="test_one"><skipped>a.py:1: {reason}</skipped></testcase>'
        '<testcase classname="tests.app.test_page" name="test_two"/></testsuite>'
    )
    done = subprocess.run([sys.executable, ".ci/skipped.py", told], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode == 0) is passes, done.stdout + done.stderr
    assert ("1 tests were skipped that have to be run here" in done.stderr) is not passes
