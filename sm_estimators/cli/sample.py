"""``sm-estimators sample``: new rows from a density of the table."""

from pathlib import Path
from typing import Annotated

import typer

from sm_estimators.cli import options as opt
from sm_estimators.cli.command_error import USAGE, CommandError, in_one_line

SamplesOption = Annotated[int, typer.Option("--n-samples", "-n", min=1, help="How many rows.")]


@in_one_line
def sample(
    table: opt.OptionalTable = None,
    *,
    n_samples: SamplesOption,
    output: opt.OutputOption,
    engine: opt.EngineOption = None,
    density: opt.DensityOption = None,
    objective: opt.ObjectiveOption = None,
    missing: opt.MissingOption = None,
    mechanism: opt.MechanismOption = None,
    ridge: opt.RidgeOption = None,
    max_iter: opt.MaxIterOption = None,
    seed: opt.SeedOption = 0,
    plot: opt.SamplesPlotOption = None,
    save_model: opt.SaveModelOption = None,
    load_model: opt.LoadModelOption = None,
    skip: opt.SkipOption = None,
    na: opt.NaOption = None,
    types: opt.TypeOption = None,
    force: opt.ForceOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Draw new rows, of columns of all kinds or, with --density, of the numeric ones.

    Fits a model to TABLE, or takes the one in --load-model and needs no table, except for
    --plot.
    """
    from sm_estimators.cli import fills, models, outputs, pictures, tables

    choices = models.Choices(engine, density, objective, missing, mechanism, ridge, max_iter)
    models.check_choices(choices, load_model, save_model, types=types)
    if table is None and (load_model is None or plot):
        raise CommandError(
            "Name a TABLE to fit and to draw, or give --load-model without --plot.", USAGE
        )
    tables.suffix(output, "--output")
    wanted = {"--output": [output], "--plot": [plot], "--save-model": [save_model]}
    outputs.check_outputs(wanted, force=force, table=table)
    model = models.load_model(load_model)
    frame = models.table_part(table, na, types, model, choices, skip or [], quiet=quiet)
    if model is None:
        model = models.fit(frame, choices, seed=seed, quiet=quiet)
    drawn = models.samples(model, n_samples, seed=seed)
    fills.refuse_holes(drawn)
    writers: dict[Path, outputs.Writer] = {output: lambda path: tables.write_frame(drawn, path)}
    if plot:
        numbers = list(frame.select_dtypes("number"))
        writers[plot] = pictures.draw_samples(frame[numbers], drawn.filter(numbers))
    if save_model:
        writers[save_model] = models.saving_model(model)
    outputs.write_all(writers)
    models.note(f"wrote {', '.join(map(str, writers))}", quiet=quiet)
