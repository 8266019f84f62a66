"""Options and arguments that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

from headscope.commands.asking import FLEET, MODEL, OUTPUT, TEXTS, chosen_from

Model = Annotated[
    str | None,
    typer.Option(
        help="Hub id, directory, GGUF file, or 'demo'. Without it: roberta-base, else the demo weights.",
        rich_help_panel=MODEL,
    ),
]
ModelArgument = Annotated[
    str | None, typer.Argument(help="Hub id, directory, GGUF file, or 'demo'; as --model elsewhere.")
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a Hub model.", rich_help_panel=MODEL)]
Adapter = Annotated[
    str | None,
    typer.Option(
        help="Directory of a PEFT adapter (extra adapters), put onto the model; without one, onto its base.",
        rich_help_panel=MODEL,
    ),
]
Stack = Annotated[str | None, chosen_from("stack", "Of an encoder-decoder: which one is read.", panel=MODEL)]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, mps.", rich_help_panel=MODEL)]
Dtype = Annotated[
    str | None, chosen_from("dtype", "Of the weights. Default: float32; auto: as they are stored.", panel=MODEL)
]
Quantize = Annotated[
    str | None, chosen_from("quantize", "Weights packed by bitsandbytes (extra quantised).", panel=MODEL)
]
Memory = Annotated[
    str | None,
    typer.Option(help="How much may be kept beside the model, as 4G (default), 512M or 1.5GiB.", rich_help_panel=MODEL),
]
Mask = Annotated[str, chosen_from("mask", "Attention mask.")]
Seed = Annotated[int, typer.Option(min=0, max=2**63 - 1, help="Of every draw.")]
TextFormat = Annotated[
    str, chosen_from("text_format", "Of the texts; auto: by the file's ending.", "--format", panel=TEXTS)
]
Column = Annotated[str, typer.Option(help="Where JSONL, CSV and Parquet keep the text.", rich_help_panel=TEXTS)]
DocumentColumn = Annotated[
    str, typer.Option(help="Where they keep the document's name, if anywhere.", rich_help_panel=TEXTS)
]
GenreColumn = Annotated[
    str,
    typer.Option(
        help="Where they keep the genre, if anywhere; chance is then also taken within genres.", rich_help_panel=TEXTS
    ),
]
LanguageColumn = Annotated[
    str | None,
    typer.Option(
        help="Where they keep the language, to be part of the genre. Default: nowhere.", rich_help_panel=TEXTS
    ),
]
Sample = Annotated[
    int | None, typer.Option(help="How many texts, drawn at random. Default: all.", rich_help_panel=TEXTS)
]
Truncate = Annotated[
    bool, typer.Option("--truncate", help="Cut texts that are too long, not leave them out.", rich_help_panel=TEXTS)
]
PageDirectory = Annotated[
    str | None,
    typer.Option(
        "--output", "-o", help="Write a page there, and keep the work in it: a directory.", rich_help_panel=OUTPUT
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print one JSON object, and nothing else.", rich_help_panel=OUTPUT)
]
Engine = Annotated[
    str | None,
    chosen_from("engine", "Who measures: workers of a Ray cluster (extra ray). Default: this process.", panel=FLEET),
]
EngineWorkers = Annotated[
    int | None,
    typer.Option("--workers", help="Of the engine. Default: as many as there is room for.", rich_help_panel=FLEET),
]
CpusPerWorker = Annotated[
    int | None,
    typer.Option(
        help="Cores, and threads, of each. Default: as one process; here alone, its part.", rich_help_panel=FLEET
    ),
]
GpusPerWorker = Annotated[
    float | None,
    typer.Option(help="GPUs of each, or a share of one. Default: 1 where there are any.", rich_help_panel=FLEET),
]
Address = Annotated[
    str | None,
    typer.Option(
        help="Of a Ray cluster that runs, or auto. Default: one begins, of this machine.", rich_help_panel=FLEET
    ),
]
