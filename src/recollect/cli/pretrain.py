"""`recollect pretrain`: texts and a log to a small language model. It decides nothing: the settings do."""

from pathlib import Path
from typing import Annotated, Final

import typer

from recollect.cli.moment import parse_time
from recollect.cli.options import DataFolder, ProtocolName
from recollect.cli.output import show, show_table
from recollect.cli.progress import shown_progress
from recollect.errors import UsageError

EXAMPLES: Final = """Examples:

recollect pretrain data --out backbone

recollect pretrain data --out backbone --until 2013-09-01 --tokens 2000000 --width 384 --layers 6"""


def run(
    data: DataFolder,
    *,
    out: Annotated[
        Path, typer.Option("--out", metavar="FOLDER", help="Folder for the model; a stopped pretraining goes on.")
    ],
    protocol: ProtocolName = None,
    until: Annotated[
        str | None,
        typer.Option("--until", metavar="TIME", help="Read events before TIME: unix seconds or ISO date (UTC)."),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", metavar="MODEL", help="Go on with this model, a folder or a name; else a new one."),
    ] = None,
    tokens: Annotated[int, typer.Option("--tokens", metavar="N", min=512, help="Tokens to read.")] = 8_000_000,
    width: Annotated[
        int, typer.Option("--width", metavar="N", min=8, help="Width of the model, a multiple of 64.")
    ] = 256,
    layers: Annotated[int, typer.Option("--layers", metavar="N", min=1, help="Layers.")] = 4,
    vocabulary: Annotated[
        int, typer.Option("--vocabulary", metavar="N", min=259, help="Tokens of the tokenizer, at most.")
    ] = 8192,
    questions: Annotated[
        float, typer.Option("--questions", metavar="X", min=0, max=0.9, help="Share of texts that ask and answer.")
    ] = 0.1,
    seed: Annotated[int, typer.Option("--seed", metavar="N", min=0, help="Seed of everything random.")] = 0,
) -> None:
    """Pretrain a small language model on texts and log, and write it as a `transformers` folder.

    Raises
    ------
    UsageError
        If the split is told twice, a time is none, or the width has no heads that divide it.
    """
    if protocol is not None and until is not None:
        raise UsageError(
            what="--protocol and --until both say how to split the log",
            got=f"--protocol {protocol} and --until {until}",
            expected="one of them",
            do="leave one out",
        )
    border = None if until is None else parse_time(until, option="--until")
    from recollect.data import protocols, splits
    from recollect.data.dataset import Dataset
    from recollect.tuning.corpus import CorpusMix, told_rows
    from recollect.tuning.pretrain import pretrain
    from recollect.tuning.pretrain_settings import PretrainSettings, PretrainShape

    shape = PretrainShape.of(width=width, layers=layers, vocabulary=vocabulary)
    splitter = protocols.resolve(protocol or "time")
    dataset = Dataset.load(data)
    split = splitter(dataset) if border is None else splits.split_until(dataset.log, border)
    settings = PretrainSettings(mix=CorpusMix.with_questions(questions))
    with shown_progress() as progress:
        made = pretrain(
            dataset,
            out=out,
            rows=told_rows(split),
            tokens=tokens,
            start=start,
            shape=shape,
            settings=settings,
            seed=seed,
            progress=progress,
        )
    show_table(
        [
            ("model", out),
            ("weights", f"{made.weights:,}"),
            ("tokens read", f"{made.tokens:,}"),
            ("split", split.name),
            ("events read from", f"{made.events:,}"),
            ("loss", f"{made.loss:.4f}"),
            ("seed", seed),
        ]
    )
    for note in split.notes:
        show(f"note: {note}")
