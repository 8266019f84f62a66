"""Long work in sentences: how far it is, or how it ended."""

from __future__ import annotations

from headscope.app.api.answers import JobRecord


def says(job: JobRecord, far: str, stopped: str) -> str:
    """How far work is (`far`, and how long it will take), why it failed, or what became of it where it was `stopped`.

    >>> job = JobRecord(state="working", done=3, total=9, step=None, seconds_left=20.4, problem=None)
    >>> says(job, "3 of 9 tokens", "Stopped.")
    '3 of 9 tokens, about 20 s left.'
    """
    if job["problem"] is not None:
        return job["problem"][:1].upper() + job["problem"][1:]
    if job["state"] == "stopped":
        return stopped
    return f"{far if job['total'] else 'Waiting for its turn'}{rest(job['seconds_left'])}."


def rest(seconds: float | None) -> str:
    """How long something will still take.

    >>> rest(None), rest(0.2), rest(89.0), rest(100.0)
    ('', ', about 1 s left', ', about 89 s left', ', about 2 min left')
    """
    if seconds is None:
        return ""
    if seconds < 90:
        return f", about {max(1, round(seconds))} s left"
    return f", about {round(seconds / 60)} min left"
