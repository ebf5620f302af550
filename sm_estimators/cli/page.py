"""``sm-estimators report``: one page about a table with holes."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from sm_estimators.cli import options as opt
from sm_estimators.cli.command_error import USAGE, CommandError, in_one_line

PAGES = (".html", ".htm")
PageOption = Annotated[
    Path, typer.Option("--output", "-o", help="The page to write: a .html file.")
]
ImputationsOption = Annotated[
    int, typer.Option("--n-imputations", "-m", min=2, help="How often holes are filled.")
]
EngineOption = Annotated[
    Literal["auto", "gaussian", "score"],
    typer.Option(help="What imputes: auto is slow for wide tables, gaussian quick."),
]


@in_one_line
def page(
    table: opt.TableArgument,
    *,
    output: PageOption,
    n_imputations: ImputationsOption = 10,
    engine: EngineOption = "auto",
    seed: opt.SeedOption = 0,
    skip: opt.SkipOption = None,
    na: opt.NaOption = None,
    types: opt.TypeOption = None,
    force: opt.ForceOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Write a page about a table with holes.

    One HTML file that needs nothing else: what is missing where, whether it looks random, what
    is imputed and how far to trust that, and which columns depend on each other. Columns may be
    numbers, categories, flags and times.
    """
    from sm_estimators.cli import kinds, mixed, models, outputs

    check_page(output)
    outputs.check_outputs({"--output": [output]}, force=force, table=table)
    frame = mixed.mixed_frame(kinds.read_table_as(table, na, types), skip or [])
    from sm_estimators.reporting import make_report

    html = make_report(
        frame,
        chosen_imputer(engine, seed),
        name=table.name,
        n_imputations=n_imputations,
        random_state=seed,
        progress=lambda step: models.note(step, quiet=quiet),
    )
    outputs.write_all({output: lambda path: write_text(path, html)})
    models.note(f"wrote {output}", quiet=quiet)


def check_page(output: Path) -> None:
    """Refuse a name that no browser would take for a page."""
    if output.suffix.lower() not in PAGES:
        raise CommandError(f"`--output` must end in {PAGES[0]}, but is {output}.", USAGE)


def chosen_imputer(engine: str, seed: int) -> Any:
    """Return the imputer that was asked for, None for the one that the page chooses."""
    if engine == "auto":
        return None
    from sm_estimators import ScoreMatchingImputer

    return ScoreMatchingImputer(engine=engine, random_state=seed)


def write_text(path: Path, text: str) -> None:
    """Write text as UTF-8 with plain line endings."""
    path.write_text(text, encoding="utf-8", newline="\n")
