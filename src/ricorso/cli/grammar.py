"""What every command has in common: lazy loading, near-miss hints, `--json`, and how an error is told."""

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import click

from ricorso.errors import did_you_mean

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Member:
    """A command that is imported when it is called, and the line that lists it.

    target: `module:name` of a command or of a function that makes one.
    """

    target: str
    line: str


class Group(click.Group):
    """A group of commands that costs nothing until one of them is called."""

    def __init__(self, name: str, *, members: Mapping[str, Member], kind: str = "command", **kwargs: Any) -> None:
        super().__init__(name, subcommand_metavar=f"{kind.upper()} [ARGS]...", **kwargs)
        self.members = dict(members)
        self.kind = kind

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments; without any, say in one line what could follow."""
        if not args:
            raise click.UsageError(f"Name a {self.kind}: {', '.join(self.members)}.", ctx)
        return super().parse_args(ctx, args)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order in which they were given."""
        return list(self.members)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import and return a command, or None for an unknown name."""
        if cmd_name not in self.members:
            return None
        module, name = self.members[cmd_name].target.split(":")
        found = getattr(import_module(module), name)
        command: click.Command = found if isinstance(found, click.Command) else found()
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that the arguments name; an unknown name is answered with the nearest one."""
        if args and args[0] not in self.members and not args[0].startswith("-"):
            known = ", ".join(self.members)
            hint = did_you_mean(args[0], self.members)
            raise click.UsageError(f"There is no {self.kind} '{args[0]}'.{hint} Known: {known}.", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by the lines that came with them, so that none is imported."""
        with formatter.section(f"{self.kind.capitalize()}s"):
            formatter.write_dl([(name, member.line) for name, member in self.members.items()])


def json_option(command: F) -> F:
    """Give a command the option `--json`."""
    text = "Print one JSON object on standard output; progress goes to standard error."
    return click.option("--json", "as_json", is_flag=True, help=text)(command)


def answer(values: Mapping[str, object]) -> None:
    """Print one JSON object on standard output; what is no number there, such as a mean of nothing, is null."""
    click.echo(json.dumps(_plain(values), ensure_ascii=False))


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def complaint(error: click.ClickException) -> str:
    """Return one line for a mistake on the command line.

    Unknown options come with the nearest known one, and the command whose help says more.
    """
    ctx = error.ctx if isinstance(error, click.UsageError) else None
    message = " ".join(error.format_message().split())
    if isinstance(error, click.NoSuchOption):
        options = [name for parameter in ctx.command.get_params(ctx) for name in parameter.opts] if ctx else []
        message = f"There is no option '{error.option_name}'.{did_you_mean(error.option_name, options)}"
    if message and message[-1] not in ".?!":
        message += "."
    return f"{message} See '{ctx.command_path} --help'." if ctx else message
