"""``sm-estimators impute``: fill the holes of a table and leave everything else alone."""

from typing import Annotated, Literal

import typer

from sm_estimators.cli import options as opt
from sm_estimators.cli.command_error import USAGE, CommandError, in_one_line

Strategy = Literal["mean", "draw"]
CountOption = Annotated[
    int,
    typer.Option(
        "--n-imputations",
        "-m",
        min=1,
        help="How many filled tables to draw. More than one are numbered: filled-1.csv, "
        "filled-2.csv, …",
    ),
]
StrategyOption = Annotated[
    Strategy | None,
    typer.Option(
        help="Fill with the conditional mean or with a draw.  "
        "[default: mean for one table, draw for several]"
    ),
]


@in_one_line
def impute(
    table: opt.TableArgument,
    *,
    output: opt.OutputOption,
    n_imputations: CountOption = 1,
    strategy: StrategyOption = None,
    engine: opt.EngineOption = None,
    density: opt.DensityOption = None,
    objective: opt.ObjectiveOption = None,
    missing: opt.MissingOption = None,
    mechanism: opt.MechanismOption = None,
    ridge: opt.RidgeOption = None,
    max_iter: opt.MaxIterOption = None,
    seed: opt.SeedOption = 0,
    plot: opt.ImputedPlotOption = None,
    save_model: opt.SaveModelOption = None,
    load_model: opt.LoadModelOption = None,
    skip: opt.SkipOption = None,
    na: opt.NaOption = None,
    types: opt.TypeOption = None,
    force: opt.ForceOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Fill the holes of a table.

    Columns of all kinds are modelled together; with --density or its options, numeric ones
    alone, and others are carried along. Every cell that was
    observed, the header and the order of rows and columns come back as they were, to the letter
    in text files, with their types in Parquet files.
    """
    from sm_estimators.cli import fills, kinds, modelled, models, outputs, tables

    paths = tables.numbered(output, n_imputations)
    strategy = chosen_strategy(strategy, n_imputations)
    choices = models.Choices(engine, density, objective, missing, mechanism, ridge, max_iter)
    models.check_choices(choices, load_model, save_model, types=types)
    tables.check_same_kind(table, output)
    wanted = {"--output": paths, "--plot": [plot], "--save-model": [save_model]}
    outputs.check_outputs(wanted, force=force, table=table)
    model = models.load_model(load_model)
    read = kinds.read_table_as(table, na, types, model)
    frame = models.modelled_part(read, model, choices, skip or [], quiet=quiet)
    if model is None and (save_model or fills.has_holes(frame)):
        model = models.fit(modelled.as_stored(read, frame), choices, seed=seed, quiet=quiet)
    filled = fills.fill(model, frame, n_imputations, strategy=strategy, seed=seed, quiet=quiet)
    for line in fills.notes(read, frame):
        models.note(line, quiet=quiet)
    writers = fills.writers(read, paths, filled)
    if plot:
        writers[plot] = fills.picture(frame, filled)
    if save_model:
        writers[save_model] = models.saving_model(model)
    outputs.write_all(writers)
    models.note(f"wrote {', '.join(map(str, writers))}", quiet=quiet)


def chosen_strategy(strategy: Strategy | None, n_imputations: int) -> Strategy:
    """Return what to fill with; refuse several copies of one conditional mean."""
    if strategy == "mean" and n_imputations > 1:
        raise CommandError(
            f"`--strategy mean` fills {n_imputations} tables alike; ask for one, or for "
            "`--strategy draw`.",
            USAGE,
        )
    return strategy or ("mean" if n_imputations == 1 else "draw")
