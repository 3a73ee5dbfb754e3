"""What is searched: a range or a list of values for each setting, written by people and checked against a config."""

import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

from ricorso.errors import UsageError, did_you_mean

Value = str | int | float | bool | None

_WRITTEN = "Write low..high, low..high:log, low..high:step, or values with commas between them"
_MOST_DIGITS = 3


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included; `log`: evenly spread over their logarithm; or in steps.

    >>> str(Range(1e-4, 1e-2, log=True))
    '0.0001..0.01:log'
    """

    low: float
    high: float
    log: bool = False
    step: float | None = None

    @property
    def whole(self) -> bool:
        """Whether the numbers are whole ones."""
        return isinstance(self.low, int)

    def used(self, value: Any) -> Value:
        """A proposed number as it is used: three digits are enough, and can be read and typed.

        >>> Range(0.0, 1.0).used(0.123456), Range(0.123456, 1.0).used(0.123456)
        (0.123, 0.123456)
        """
        if self.whole:
            return int(value)
        rounded = float(f"{value:.{_MOST_DIGITS}g}")
        return min(max(rounded, self.low), self.high)

    def ends(self) -> tuple[Value, ...]:
        return self.low, self.high

    def __str__(self) -> str:
        way = ":log" if self.log else f":{self.step:g}" if self.step else ""
        return f"{self.low:g}..{self.high:g}{way}"


@dataclass(frozen=True)
class Choice:
    """One of several values, without an order.

    >>> str(Choice(("gru", "lstm")))
    'gru,lstm'
    """

    values: tuple[Value, ...]

    def used(self, value: Any) -> Value:
        """A proposed value as it is used."""
        chosen: Value = value
        return chosen

    def ends(self) -> tuple[Value, ...]:
        return self.values

    def __str__(self) -> str:
        return ",".join("none" if value is None else str(value) for value in self.values)


Space = dict[str, Range | Choice]


def read_vary(texts: tuple[str, ...]) -> dict[str, str]:
    """What `--vary NAME=VALUES` says, for each name. Raises UsageError.

    >>> read_vary(("dropout=0..0.5", "cell=gru,lstm"))
    {'dropout': '0..0.5', 'cell': 'gru,lstm'}
    """
    wanted: dict[str, str] = {}
    for text in texts:
        name, equals, values = text.partition("=")
        name = name.strip().replace("-", "_")
        if not equals or not name or not values.strip():
            raise UsageError(f"--vary needs NAME=VALUES, got '{text}'. {_WRITTEN}, such as dropout=0..0.5.")
        if name in wanted:
            raise UsageError(f"--vary names '{name}' twice; give all its values at once.")
        wanted[name] = values.strip()
    return wanted


def read_space(wanted: Mapping[str, Any], config: type[BaseModel]) -> Space:
    """The space that is described: for each name a text as in `--vary`, a list of values, or a table with `low` and
    `high` (and `log` or `step`).

    Raises UsageError for a setting the config does not have, with the nearest one it has, and for what is no range or
    list of its kind.
    """
    if not wanted:
        raise UsageError("There is nothing to search over; name at least one setting, such as dropout=0..0.5.")
    space: Space = {}
    for name, description in wanted.items():
        if name not in config.model_fields:
            hint = did_you_mean(name, config.model_fields)
            raise UsageError(f"There is no setting '{name}' to search over.{hint}")
        space[name] = _Reader(name, config.model_fields[name].annotation).read(description)
    return space


def check_space(space: Space, settings: Mapping[str, Any], config: Any) -> None:
    """Raise UsageError when the config would refuse a value of the space, or the settings beside it."""
    config.of(settings)
    # one value may need another that is searched as well, so each may be with or without them
    others = {**settings, **{name: values.ends()[-1] for name, values in space.items()}}
    for name, values in space.items():
        if None in values.ends() and config.model_fields[name].default is not None:
            raise UsageError(f"{name} cannot be left out (none); give values for it.")
        for value in values.ends():
            try:
                config.of({**settings, name: value})
            except UsageError:
                config.of({**others, name: value})


def cells(space: Space, settings: Mapping[str, Any]) -> list[str]:
    """The names of all cells that a search would train.

    >>> cells({"cell": Choice(("gru", "lstm"))}, {}), cells({}, {"cell": "mine.py:MINE"})
    (['gru', 'lstm'], ['mine.py:MINE'])
    """
    names = space["cell"].ends() if "cell" in space else (settings["cell"],) if "cell" in settings else ()
    return [str(name) for name in names]


def to_json(space: Space) -> dict[str, Any]:
    """The space as `read_space` takes it."""
    return {
        name: list(values.values)
        if isinstance(values, Choice)
        else {"low": values.low, "high": values.high, "log": values.log, "step": values.step}
        for name, values in space.items()
    }


class _Reader:
    """Reads the values of one setting, by its type."""

    def __init__(self, name: str, annotation: Any) -> None:
        self.name = name
        kinds = set(_kinds(annotation))
        self.may_be_left_out = types.NoneType in kinds
        self.kind = next((kind for kind in (bool, float, int) if kind in kinds), str)

    def read(self, description: Any) -> Range | Choice:
        if isinstance(description, Range | Choice):
            description = to_json({self.name: description})[self.name]
        if isinstance(description, str):
            return self._text(description)
        if isinstance(description, Mapping):
            return self._table(description)
        if isinstance(description, list | tuple):
            return self._choice([self._value(value) for value in description])
        raise self._wrong(f"got {description!r}")

    def _text(self, text: str) -> Range | Choice:
        if self.kind in (int, float) and ".." in text:
            low, _, rest = text.partition("..")
            high, colon, way = rest.partition(":")
            table: dict[str, Any] = {"low": low, "high": high}
            if colon:
                table |= {"log": True} if way.strip() == "log" else {"step": way}
            return self._table(table)
        return self._choice([self._value(part.strip()) for part in text.split(",")])

    def _table(self, table: Mapping[str, Any]) -> Range:
        if self.kind not in (int, float):
            raise self._wrong("got a range, but it is no number: give values with commas between them")
        unknown = [name for name in table if name not in ("low", "high", "log", "step")]
        if unknown or "low" not in table or "high" not in table:
            raise self._wrong(f"a range has low, high, and log or step; got {', '.join(map(str, table)) or 'nothing'}")
        low, high = self._value(table["low"]), self._value(table["high"])
        log, step = table.get("log", False), table.get("step")
        step = None if step is None else self._value(step)
        if not isinstance(low, int | float) or not isinstance(high, int | float) or not isinstance(log, bool):
            raise self._wrong("a range has numbers for low and high, and true or false for log")
        if not low < high:
            raise self._wrong(f"low must be below high, got {low}..{high}")
        if log and (low <= 0 or step is not None):
            raise self._wrong("a logarithmic range starts above 0 and has no step")
        if step is not None and (not isinstance(step, int | float) or not 0 < step <= high - low):
            raise self._wrong(f"the step must be above 0 and fit into {low}..{high}, got {step}")
        if step is not None and self.kind is int:
            high = low + (high - low) // step * step
        return Range(low, high, log, step)

    def _choice(self, values: list[Value]) -> Choice:
        if len(set(values)) < len(values):
            raise self._wrong("a value comes twice")
        return Choice(tuple(values))

    def _value(self, value: Any) -> Value:
        if value is None or (isinstance(value, str) and value.lower() == "none"):
            if not self.may_be_left_out:
                raise self._wrong("it cannot be left out (none)")
            return None
        try:
            if self.kind is bool:
                return value if isinstance(value, bool) else {"true": True, "false": False}[str(value).lower()]
            if self.kind is str:
                return self._string(value)
            number = self.kind(value)
        except (ValueError, TypeError, KeyError) as error:
            raise self._wrong(f"got {value!r}") from error
        if isinstance(value, bool) or number != float(value) or number - number != 0:
            raise self._wrong(f"got {value!r}")
        return number

    def _string(self, value: Any) -> str:
        if not isinstance(value, str) or not value:
            raise self._wrong(f"got {value!r}")
        return value

    def _wrong(self, trouble: str) -> UsageError:
        kind = {int: "whole numbers", float: "numbers", bool: "true and false", str: "texts"}[self.kind]
        return UsageError(f"The values of '{self.name}' are {kind}; {trouble}. {_WRITTEN}.")


def _kinds(annotation: Any) -> Iterator[Any]:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _kinds(arguments[0])
    elif origin in (Union, types.UnionType):
        for argument in arguments:
            yield from _kinds(argument)
    elif origin is Literal:
        yield from (type(argument) for argument in arguments)
    else:
        yield annotation
