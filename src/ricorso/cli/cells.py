"""`ricorso cells`: the catalogue, with formulas, and cells from a file."""

from typing import TYPE_CHECKING

import click

from ricorso.cli.grammar import answer, json_option
from ricorso.errors import UsageError

if TYPE_CHECKING:
    from ricorso.equations import Cell


@click.command(epilog="Example: ricorso cells mycell.py:MyCell --check")
@click.argument("name", required=False)
@click.option("--latex", is_flag=True, help="Show the formulas as LaTeX.")
@click.option("--picture", metavar="FILE", help="Write a picture of the data flow to FILE, as SVG.")
@click.option("--check", is_flag=True, help="Test gradients, fast paths, streaming and storage of the cell.")
@json_option
def cells(name: str | None, latex: bool, picture: str | None, check: bool, as_json: bool) -> int:
    """List the cells, or show the one called NAME: a name of the list, or `file.py:Name` for a cell of your own.

    Every formula is read from the definition that the kernels are made from. A file is Python code and is run.
    """
    if name is None:
        for flag, given in (("--latex", latex), ("--picture", picture), ("--check", check)):
            if given:
                raise UsageError(f"{flag} needs the name of a cell: ricorso cells NAME {flag}.")
        _list(as_json)
        return 0
    from ricorso.cells.file import resolve_cell

    cell = resolve_cell(name)
    if picture is not None:
        _draw(cell, picture)
    if check:
        return _check(cell, as_json)
    _show(cell, latex, as_json)
    return 0


def _list(as_json: bool) -> None:
    from ricorso.cells import ALIASES, CATALOGUE, FAMILIES
    from ricorso.equations.summary import recurrence

    if as_json:
        families = {cell.name: family for family, members in FAMILIES.items() for cell in members}
        answer({"cells": [_fields(cell) | {"family": families[cell.name]} for cell in CATALOGUE.values()]})
        return
    head = ("name", "cell", "gates", "states", "recurrence")
    rows = {cell.name: _columns(cell, recurrence(cell)) for cell in CATALOGUE.values()}
    widths = [max(len(row[n]) for row in (head, *rows.values())) for n in range(len(head))]

    def line(row: tuple[str, ...]) -> str:
        return "  " + "  ".join(f"{text:<{width}}" for text, width in zip(row, widths, strict=True)).rstrip()

    click.echo(line(head))
    for family, members in FAMILIES.items():
        click.echo("\n".join([f"{family}:", *(line(rows[cell.name]) for cell in members)]))
    aliases = ", ".join(f"{alias} is {name}" for alias, name in ALIASES.items())
    click.echo(f"\nOther names: {aliases}.\nFormulas: ricorso cells NAME, or ricorso cells FILE.py:NAME for your own.")


def _columns(cell: "Cell", recurrence: str) -> tuple[str, ...]:
    gates, states = " ".join(map(str, cell.gates)), " ".join(map(str, cell.states))
    return cell.name, cell.title, gates, states, recurrence


def _fields(cell: "Cell") -> dict[str, object]:
    from ricorso.equations.summary import recurrence

    return {
        "name": cell.name,
        "title": cell.title,
        "paper": cell.paper,
        "gates": [str(gate) for gate in cell.gates],
        "states": [str(state) for state in cell.states],
        "parameters": [str(parameter) for parameter in cell.parameters],
        "signals": [str(signal) for signal in cell.signals],
        "heads": cell.heads,
        "recurrence": recurrence(cell),
    }


def _show(cell: "Cell", latex: bool, as_json: bool) -> None:
    from ricorso.engine.path import paths
    from ricorso.equations import portable, render
    from ricorso.equations.summary import count_in_words, recurrence, starting

    if latex and not as_json:
        click.echo(render.latex(cell))
        return
    ways = {path.name: path.why for path in paths(cell)}
    counted = count_in_words(cell)
    starts, long_starts = starting(cell), starting(cell, long=True)
    if as_json:
        told = _fields(cell) | {"text": render.text(cell), "latex": render.latex(cell)}
        told |= {"count": counted, "start": starts, "long_start": long_starts, "paths": ways}
        answer(told | {"equations": portable.to_json(cell)})
        return
    title = f"{cell.name}: {cell.title}" if cell.title else cell.name
    click.echo("\n".join([line for line in (title, cell.paper) if line]) + f"\n\n{render.text(cell)}\n")
    click.echo(f"recurrence: {recurrence(cell)}")
    click.echo(f"trained numbers: {counted}, for I inputs and H units")
    for heading, lines in (("starts at", starts), ("with a horizon", long_starts)):
        if lines:
            click.echo("\n".join([f"{heading}:", *(f"  {line}" for line in lines)]))
    click.echo("runs here through:")
    width = max(map(len, ways), default=0)
    for path, why in ways.items():
        click.echo(f"  {path:<{width}}  {why}")


def _draw(cell: "Cell", file: str) -> None:
    from pathlib import Path

    from ricorso.equations.picture import picture

    Path(file).write_text(picture(cell), encoding="utf-8")
    click.echo(f"The picture is in {file}.", err=True)


def _check(cell: "Cell", as_json: bool) -> int:
    from ricorso.check import check_cell

    report = check_cell(cell, raise_on_failure=False)
    if as_json:
        answer(report.to_json())
    else:
        click.echo(report)
    return 0 if report.ok else 1
