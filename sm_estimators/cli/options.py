"""Options that several commands share, each declared once."""

from pathlib import Path
from typing import Annotated, Literal

import typer

TableArgument = Annotated[
    Path, typer.Argument(metavar="TABLE", help="A .csv, .csv.gz, .tsv, .tsv.gz or .parquet file.")
]
OptionalTable = Annotated[
    Path | None,
    typer.Argument(metavar="[TABLE]", help="A .csv, .csv.gz, .tsv, .tsv.gz or .parquet file."),
]
OutputOption = Annotated[Path, typer.Option("--output", "-o", help="The file to write.")]
OptionalOutput = Annotated[
    Path | None, typer.Option("--output", "-o", help="Write one row per row of the table.")
]
NaOption = Annotated[
    list[str] | None,
    typer.Option(
        "--na",
        metavar="SPELLING",
        help="One more spelling of a hole, as text or as a number; may be repeated. Always "
        "holes: empty cells, NA, NaN, nan, null, None and ?.",
    ),
]
SkipOption = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="COLUMN", help="A column to leave out; may be repeated."),
]
TypeOption = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="COLUMN=KIND",
        help="What a column is, numeric or nominal; may be repeated. Nominal are codes and "
        "categories, also of digits. Digits with zeros before them are text unless called numeric.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Replace files that exist.")]
QuietOption = Annotated[
    bool, typer.Option("--quiet", "-q", help="No notes and no progress; warnings stay.")
]
SeedOption = Annotated[
    int, typer.Option("--seed", min=0, max=2**32 - 1, help="Seed of the fit and of the draws.")
]
HolesPlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw the matrix of holes: .png, .pdf or .svg.")
]
ImputedPlotOption = Annotated[
    Path | None,
    typer.Option("--plot", help="Draw holes and imputed values: .png, .pdf or .svg."),
]
SamplesPlotOption = Annotated[
    Path | None, typer.Option("--plot", help="Draw samples and TABLE: .png, .pdf or .svg.")
]
EngineOption = Annotated[
    Literal["auto", "gaussian", "score"] | None,
    typer.Option(
        help="Model columns of all kinds, text and times too.  [default: auto, without --density "
        "and its options]"
    ),
]
DensityOption = Annotated[
    Literal["gaussian", "mixture", "energy", "diffusion"] | None,
    typer.Option(
        help="Model the numeric columns alone, by this family of densities.  [default: gaussian "
        "where its options are given]"
    ),
]
ObjectiveOption = Annotated[
    Literal["explicit", "sliced", "denoising"] | None,
    typer.Option(help="The score-matching loss.  [default: the density's]"),
]
MissingOption = Annotated[
    Literal[
        "complete_case",
        "importance",
        "imputation",
        "exact",
        "variational",
        "persistent_chains",
        "zeroed",
        "hiding",
    ]
    | None,
    typer.Option(help="The rule for holes.  [default: the best valid one]"),
]
MechanismOption = Annotated[
    Literal["mcar", "mar"] | None,
    typer.Option(help="Why cells are missing, as you believe.  [default: mcar]"),
]
RidgeOption = Annotated[
    float | None, typer.Option(min=0.0, help="The penalty that keeps the fit stable.")
]
MaxIterOption = Annotated[
    int | None, typer.Option(min=1, help="Most iterations of the fit.  [default: the density's]")
]
SaveModelOption = Annotated[
    Path | None, typer.Option("--save-model", metavar="FILE", help="Keep the fitted model.")
]
LoadModelOption = Annotated[
    Path | None,
    typer.Option(
        "--load-model",
        metavar="FILE",
        help="Use a model kept by --save-model instead of fitting one. Loading runs code from "
        "the file: only load files you trust.",
    ),
]
