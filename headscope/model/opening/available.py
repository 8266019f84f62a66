"""Models that can be opened without the network."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from headscope.model.opening.default import DEMO, DEMO_NAME, demo_directory, is_complete


@dataclass(frozen=True)
class Available:
    """A model that is on this machine: what to call it, where it is, and its size in bytes."""

    name: str
    where: str
    nbytes: int


def available() -> list[Available]:
    """The demo weights and the complete models of the local Hub cache."""
    found = []
    demo = demo_directory()
    if demo is not None:
        found.append(Available(DEMO, f"embedded: {DEMO_NAME}", _size(demo)))
    return found + _cached()


def _cached() -> list[Available]:
    from huggingface_hub import constants, scan_cache_dir
    from huggingface_hub.errors import CacheNotFound

    try:
        repositories = scan_cache_dir(constants.HF_HUB_CACHE).repos
    except CacheNotFound:
        return []
    found = []
    for repository in sorted(repositories, key=lambda entry: entry.repo_id):
        complete = [r for r in repository.revisions if is_complete(r.snapshot_path)]
        if repository.repo_type == "model" and complete:
            newest = max(complete, key=lambda revision: revision.last_modified)
            where = f"local cache, revision {newest.commit_hash[:12]}"
            found.append(Available(repository.repo_id, where, newest.size_on_disk))
    return found


def _size(directory: Path) -> int:
    return sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
