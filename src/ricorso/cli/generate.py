"""`ricorso generate RUN`: write text, as it comes."""

import sys
from pathlib import Path
from typing import Any

import click

from ricorso.cli.grammar import answer, json_option
from ricorso.errors import UsageError


@click.command(epilog="Example: ricorso generate runs/my-book --prompt 'It was a dark ' --length 400 --seed 1")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--prompt", default="", help="The beginning to go on from; `-` reads it from standard input.")
@click.option("--length", type=int, help="Symbols to write.")
@click.option("--temperature", type=float, help="Below 1 plays it safe, above 1 dares more; 0 is the same as --greedy.")
@click.option("--top-k", type=int, help="Choose among the K likeliest symbols only.")
@click.option("--top-p", type=float, help="Choose among the likeliest symbols that together reach the probability P.")
@click.option("--greedy", is_flag=True, help="Always take the likeliest symbol.")
@click.option("--seed", type=int, help="The same seed writes the same text.")
@click.option(
    "--unknown",
    type=click.Choice(["error", "drop"]),
    help="What becomes of characters in the prompt that the model has never seen: an error, or they are left out.",
)
@json_option
def generate(run: Path, prompt: str, greedy: bool, as_json: bool, **given: Any) -> None:
    """Write text with the model in the folder RUN, going on from a prompt."""
    from ricorso.tasks import load

    choices = {name: value for name, value in given.items() if value is not None}
    if greedy:
        if choices.get("temperature"):
            raise UsageError("--greedy and --temperature exclude one another; give one of them.")
        choices["temperature"] = 0.0
    if prompt == "-":
        prompt = sys.stdin.read().removesuffix("\n")
    pieces = load(run, "generate").stream(prompt, **choices)
    if as_json:
        answer({"run": str(run), "prompt": prompt, "text": "".join(pieces)})
        return
    last = prompt
    click.echo(prompt, nl=False)
    for piece in pieces:
        sys.stdout.write(piece)
        sys.stdout.flush()
        last = piece
    if not last.endswith("\n"):
        click.echo()
