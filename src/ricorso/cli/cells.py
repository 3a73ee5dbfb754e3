"""`ricorso cells`: the catalogue, with formulas."""

from typing import TYPE_CHECKING

import click

from ricorso.cli.grammar import answer, json_option

if TYPE_CHECKING:
    from ricorso.equations import Cell


@click.command(epilog="Example: ricorso cells lstm")
@click.argument("name", required=False)
@click.option("--latex", is_flag=True, help="Show the formulas as LaTeX.")
@json_option
def cells(name: str | None, latex: bool, as_json: bool) -> None:
    """List the cells, or show the formulas of the one called NAME.

    Every formula is read from the definition that the kernels are made from.
    """
    if name is None:
        _list(as_json)
    else:
        _show(name, latex, as_json)


def _list(as_json: bool) -> None:
    from ricorso.cells import CATALOGUE

    if as_json:
        answer({"cells": [_fields(cell) for cell in CATALOGUE.values()]})
        return
    width = max(len(name) for name in CATALOGUE)
    for cell in CATALOGUE.values():
        gates, states = ", ".join(map(str, cell.gates)), ", ".join(map(str, cell.states))
        click.echo(f"{cell.name:<{width}}  {cell.title}  (gates {gates}; states {states})")
    click.echo("\nFormulas: ricorso cells NAME")


def _fields(cell: "Cell") -> dict[str, object]:
    return {
        "name": cell.name,
        "title": cell.title,
        "paper": cell.paper,
        "gates": [str(gate) for gate in cell.gates],
        "states": [str(state) for state in cell.states],
    }


def _show(name: str, latex: bool, as_json: bool) -> None:
    from ricorso.cells import get_cell
    from ricorso.equations import portable, render

    cell = get_cell(name)
    if as_json:
        answer(
            _fields(cell)
            | {"text": render.text(cell), "latex": render.latex(cell), "equations": portable.to_json(cell)}
        )
        return
    if latex:
        click.echo(render.latex(cell))
        return
    click.echo(f"{cell.name}: {cell.title}\n{cell.paper}\n\n{render.text(cell)}")
