"""The command line: describe, impute, sample, score and report on tables with holes."""

from typing import Annotated

import typer

from sm_estimators.cli.describe import describe
from sm_estimators.cli.impute import impute
from sm_estimators.cli.page import page
from sm_estimators.cli.sample import sample
from sm_estimators.cli.score import score

app = typer.Typer(
    name="sm-estimators",
    help="Densities of tables with holes, fitted by score matching.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (describe, impute, sample, score):
    app.command()(command)
app.command("report")(page)


def show_version(wanted: bool | None) -> None:
    """Print the version of the package and stop."""
    if wanted:
        from sm_estimators import __version__

        typer.echo(f"sm_estimators {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: Annotated[
        bool | None,
        typer.Option("--version", callback=show_version, is_eager=True, help="Print the version."),
    ] = None,
) -> None:
    """Take the options that belong to no command."""
    del version


def main() -> None:
    """Run the command line."""
    app()
