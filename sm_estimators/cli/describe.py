"""``sm-estimators describe``: what is missing where, and whether it looks random."""

import typer

from sm_estimators.cli.command_error import in_one_line
from sm_estimators.cli.options import ForceOption, HolesPlotOption, NaOption, TableArgument


@in_one_line
def describe(
    table: TableArgument,
    *,
    plot: HolesPlotOption = None,
    na: NaOption = None,
    force: ForceOption = False,
) -> None:
    """Describe the holes of a table.

    Prints the columns with their kinds and holes, the patterns of holes, the pairs of columns
    never seen together, and Little's test of "missing completely at random".
    """
    from sm_estimators.cli.outputs import check_outputs, write_all
    from sm_estimators.cli.pictures import draw_holes
    from sm_estimators.cli.report import everything, report_text
    from sm_estimators.cli.tables import read_table

    check_outputs({"--plot": [plot]}, force=force, table=table)
    read = read_table(table, na or ())
    typer.echo(report_text(read))
    if plot:
        write_all({plot: draw_holes(everything(read))})
