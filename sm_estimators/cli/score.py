"""``sm-estimators score``: how well a density fits rows it has not seen."""

from typing import Annotated

import typer

from sm_estimators.cli import options as opt
from sm_estimators.cli.command_error import in_one_line

HeldOutOption = Annotated[
    float,
    typer.Option(
        "--held-out",
        min=0.01,
        max=0.99,
        help="The share of rows kept from the fit, drawn at random; without --load-model.",
    ),
]


@in_one_line
def score(
    table: opt.TableArgument,
    *,
    held_out: HeldOutOption = 0.2,
    output: opt.OptionalOutput = None,
    engine: opt.EngineOption = None,
    density: opt.DensityOption = None,
    objective: opt.ObjectiveOption = None,
    missing: opt.MissingOption = None,
    mechanism: opt.MechanismOption = None,
    ridge: opt.RidgeOption = None,
    max_iter: opt.MaxIterOption = None,
    seed: opt.SeedOption = 0,
    load_model: opt.LoadModelOption = None,
    skip: opt.SkipOption = None,
    na: opt.NaOption = None,
    types: opt.TypeOption = None,
    force: opt.ForceOption = False,
    quiet: opt.QuietOption = False,
) -> None:
    """Score the rows of a table under a model; higher is better.

    Prints the mean log-density of what was seen of a row, or with --density minus the mean
    score-matching loss: of all rows under the model in --load-model, or of rows held out from a
    fit to the others. --output writes the log-density of every row, up to one constant for
    densities that are not normalised: low ones are outliers.
    """
    from sm_estimators.cli import kinds, models, outputs, scoring, tables

    choices = models.Choices(engine, density, objective, missing, mechanism, ridge, max_iter)
    models.check_choices(choices, load_model, types=types)
    if output:
        tables.suffix(output, "--output")
    outputs.check_outputs({"--output": [output]}, force=force, table=table)
    model = models.load_model(load_model)
    read = kinds.read_table_as(table, na, types, model)
    frame = models.modelled_part(read, model, choices, skip or [], quiet=quiet)
    held = scoring.held_out_rows(len(frame), held_out, seed=seed, all_rows=model is not None)
    if model is None:
        model = models.fit(frame.loc[~held], choices, seed=seed, quiet=quiet)
    typer.echo(scoring.sentence(model, frame.loc[held], n_fitted=int((~held).sum())))
    if output:
        rows = scoring.row_scores(model, frame, held)
        outputs.write_all({output: lambda path: tables.write_frame(rows, path)})
        models.note(f"wrote {output}", quiet=quiet)
