"""What may be asked on a command line: the open values of its options, and which option means something with which.

Checked for every command before it begins, and before a model or torch is waited for.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from typer.core import TyperCommand

from headscope.errors import InputError, cut
from headscope.question import choices
from headscope.question.given import bytes_of

# The library's own lists, as `--help` shows them. Views and dtypes are torch's company: a test holds them together.
CHOICES: dict[str, tuple[str, ...]] = {
    "view": ("heads", "atlas", "attention", "written", "journey", "mixing", "glance", "effects", "portrait", "removed"),
    "weigh": choices.WEIGH,
    "replace_by": choices.REPLACEMENTS,
    "space": choices.SPACES,
    "reference": choices.REFERENCES,
    "metric": choices.METRICS,
    "vector": choices.VECTORS,
    "candidates": choices.CANDIDATES,
    "mask": choices.MASKS,
    "stack": choices.STACKS,
    "dtype": ("float32", "float16", "bfloat16", "auto"),
    "quantize": ("4bit", "8bit"),
    "method": choices.METHODS,
    "theme": choices.THEMES,
    "target": choices.TARGETS,
    "part": choices.CAPACITY_PARTS,
    "site": choices.SITES,
    "null": choices.NULLS,
    "engine": choices.ENGINES,
    "text_format": ("auto", *choices.FORMATS),
}
# What belongs together stands together in `--help`, where each group has columns as wide as it needs.
MODEL, TEXT, TEXTS = "The model", "The text", "The texts"
COMPARED, OUTPUT, FLEET = "What is compared", "What comes out", "Who measures"
# What a sentence calls them, where their name does not say it.
_KINDS = {"weigh": "way to weigh", "replace_by": "replacement", "text_format": "format"}
# They are read, so they have to be texts; everything else may be a path, whose bytes are the file system's affair.
_TEXTS = ("text", "token", "also", "decoder_text", "pair", "system")
_TABLES = ("directories", "survey", "finish")
_PATHS = ("model", "texts", "directories", "output", "survey", "finish", "lens", "bank", "adapter")

# Option → the options that it goes with, and which of their values; None: left out.
Needs = Mapping[str, tuple[tuple[str, tuple[object, ...]], ...]]
_ENCODED = ("space", (None, "value", "output", "key", "query"))  # where the vocabulary is encoded by a projection
_COLUMNS: Needs = dict.fromkeys(("column", "document_column"), (("text_format", ("auto", "jsonl", "csv", "parquet")),))
_GENRES: Needs = dict.fromkeys(("genre_column", "language_column"), _COLUMNS["column"])
_FLEET: Needs = dict.fromkeys(("workers", "cpus_per_worker", "gpus_per_worker", "address"), (("engine", ("ray",)),))
_SWEPT = (("part", (None, "dimension", "number")),)
_GIVEN: Needs = {
    "system": (("chat", (True,)),),
    "pair": (("chat", (False,)), ("ids", (None,))),
    "special": (("chat", (False,)), ("ids", (None,))),
    "chat": (("ids", (None,)),),
}
NEEDS: dict[str, Needs] = {
    "look": {
        **_GIVEN,
        "layer": (("view", ("heads", "attention", "written", "portrait", "removed")),),
        "head": (("view", ("written",)),),
        "weigh": (("view", ("attention",)),),
        "space": (("view", ("heads", "atlas", "written", "portrait")),),
        "reference": (("view", ("heads", "atlas", "written", "portrait")),),
        "metric": (("view", ("heads", "atlas", "written", "portrait")),),
        "position": (("view", ("heads", "atlas", "written", "journey", "portrait")), _ENCODED),
        "candidates": (("view", ("heads", "atlas", "portrait")),),
        "vector": (("view", ("heads", "portrait")),),
        "at": (("view", ("heads",)), _ENCODED),
        "why": (("view", ("heads",)),),
        "hubs": (("view", ("heads", "atlas")),),
        "bank": (("hubs", (True,)),),
        "lens": (("space", ("fitted",)),),
        "k": (("view", ("heads", "journey", "portrait")),),
        "isolated": (("view", ("journey",)),),
        "replace_by": (("view", ("effects", "removed")),),
        "decoder_text": (("stack", ("decoder",)),),
        "as_csv": (("as_json", (False,)), ("why", (None,))),
    },
    "map": {**_GIVEN, "at": (_ENCODED,), "perplexity": (("method", ("tsne",)),)},
    "models": dict.fromkeys(("revision", "adapter", "stack", "device", "dtype", "quantize"), (("verify", (True,)),)),
    "survey": {
        "position": (_ENCODED,),
        "reference": (_ENCODED,),
        **_COLUMNS,
        **_GENRES,
        **_FLEET,
    },
    "claims": {**dict.fromkeys(("texts", "sample", "seed"), (("survey", (None,)),)), **_FLEET},
    "capacity": {"site": _SWEPT, "keep": _SWEPT, **_COLUMNS, **_FLEET},
    "lens": {**_COLUMNS, **_FLEET},
    "recovery": {**_COLUMNS, **_FLEET},
}


class Command(TyperCommand):
    """A command whose options are checked, each and together, before it begins."""

    def invoke(self, ctx: Any) -> Any:
        given = [option.name for option in self.params if option.name and is_given(ctx, option.name)]
        for name in given:
            for value in _values(ctx.params[name]):
                _check_value(name, value)
        for name, others in NEEDS.get(str(self.name), {}).items():
            for other, wanted in others if name in given else ():
                if not any(_goes(name, other, value, wanted) for value in _values(ctx.params[other]) or [None]):
                    raise InputError(_refused(flag_of(ctx, name), flag_of(ctx, other), ctx.params[other], wanted))
        return super().invoke(ctx)


def chosen_from(option: str, help: str, *flags: str, but: Sequence[str] = (), panel: str | None = None) -> Any:
    """An option with its open values, but for some, in its help (in a group of it) and on the Tab key."""
    values = [value for value in CHOICES[option] if value not in but]

    def completed(incomplete: str) -> list[str]:
        return [value for value in values if value.startswith(incomplete)]

    # With blanks, at which the help's table breaks.
    metavar = f"[{' | '.join(values)}]"
    return typer.Option(*flags, help=help, metavar=metavar, autocompletion=completed, rich_help_panel=panel)


def listed(option: str) -> str:
    """The open values of an option, as its help has them."""
    return ", ".join(CHOICES[option])


def is_given(ctx: Any, name: str) -> bool:
    """Whether an option or argument stands on the command line."""
    source = ctx.get_parameter_source(name)
    return source is not None and not source.name.startswith("DEFAULT")


def flag_of(ctx: Any, name: str) -> str:
    """An option as it is written, by its longest name; a switch that is off, as it is switched off."""
    option = next(option for option in ctx.command.params if option.name == name)
    flags: list[str] = option.secondary_opts if ctx.params.get(name) is False else []
    return max(flags or option.opts, key=len)


def _goes(name: str, other: str, value: object, wanted: Sequence[object]) -> bool:
    """Whether an option goes with what another one is."""
    if other != "view" or value in CHOICES["view"]:
        return value in wanted
    return {"replace_by": "replaced_by"}.get(name, name) in _offers()[str(value)].choices


def _offers() -> Mapping[str, Any]:
    """What a reading answers by name; only a view that no help names waits for torch to be looked up here."""
    from headscope.reading.offers import offers

    return offers()


def _check_value(name: str, value: object) -> None:
    """Raise InputError for a value that is not open, a text with bytes that are none, a path that nothing can have."""
    if not isinstance(value, str):
        return
    shown = cut(value)
    if name in CHOICES and value not in CHOICES[name] and not (name == "view" and value in _offers()):
        raise InputError(f"there is no {_KINDS.get(name, name)} {shown!r}; open: {listed(name)}.")
    if name == "memory":
        bytes_of(value, "the memory")
    if name in _TEXTS and any("\ud800" <= character <= "\udfff" for character in value):
        raise InputError(f"{shown!r} is no text: it has bytes that are not UTF-8, the encoding that texts are read in.")
    if name in _TABLES:
        from headscope.keep.files import utf_8

        utf_8(value)
    if name in _PATHS and name != "model" and not value:  # of a variable that is not set; a Path of it is where one is
        raise InputError(f"the name that is given for {name} is empty, which is no place.")
    if name in _PATHS:
        try:
            os.stat(Path(value).expanduser())
        except RuntimeError as error:
            raise InputError(f"{shown!r} is nowhere: {error}") from None
        except ValueError:
            raise InputError(f"{shown!r} is no path: it has a null character.") from None
        except OSError as error:
            if error.errno == errno.ENAMETOOLONG:
                raise InputError(f"{shown!r}, of {len(value):,} characters, is too long for a path.") from None


def _refused(option: str, other: str, value: object, wanted: Sequence[object]) -> str:
    if wanted == (True,):
        return f"{option} is for {other}: give both."
    named = [str(one) for one in wanted if one]
    if not named:
        return f"{option} and {other} do not go together: leave one out."
    *most, last = named
    now = "" if value is None else f", not {', '.join(map(str, _values(value)))}"
    return f"{option} is for {other} {', '.join(most) + ' or ' if most else ''}{last}{now}."


def _values(value: object) -> list[object]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
