"""Cells from a Python file of the user's: `mycell.py:MyCell`."""

import importlib.util
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ricorso.cells import get_cell
from ricorso.equations import Cell
from ricorso.errors import CellError, RicorsoError, UsageError, did_you_mean


def names_file(text: str) -> bool:
    """Whether a text asks for a cell from a file rather than from the catalogue.

    >>> names_file("mycell.py:MyCell"), names_file("lstm")
    (True, False)
    """
    return text.partition(":")[0].endswith(".py") or ":" in text


def resolve_cell(cell: str | Cell) -> Cell:
    """The cell that is asked for: a Cell itself, a name of the catalogue, or `file.py:Name`.

    A file is Python code and is run: call this with what the user has typed, never with what a model folder says.
    Raises UsageError when there is no such cell.

    >>> resolve_cell("gru").name
    'gru'
    """
    return load_cell(cell) if isinstance(cell, str) and names_file(cell) else get_cell(cell)


def load_cell(text: str) -> Cell:
    """The cell of a file: `file.py:Name` for the Cell of that name, `file.py` where there is only one.

    Raises UsageError for a missing file, an error in it, or no such cell in it, CellError when its equations do not
    hold together.
    """
    file, _, name = _divided(text)
    path = Path(file).expanduser()
    if not path.is_file():
        raise UsageError(f"There is no file '{path}'; a cell of your own is given as file.py:Name.")
    module = _run(path)
    cells = {key: value for key, value in vars(module).items() if isinstance(value, Cell)}
    if name in cells:
        return cells[name]
    if not name:
        return _only(path, cells)
    if hasattr(module, name):
        kind = type(getattr(module, name)).__name__
        raise UsageError(f"'{name}' in '{path}' is a {kind}, not a Cell.{_known(path, cells)}")
    raise UsageError(f"'{path}' defines no '{name}'.{did_you_mean(name, cells)}{_known(path, cells)}")


def _divided(text: str) -> tuple[str, str, str]:
    # a drive letter holds a colon as well
    return text.rpartition(":") if ":" in text[2:] else (text, "", "")


def _only(path: Path, cells: dict[str, Cell]) -> Cell:
    different = {id(cell): cell for cell in cells.values()}
    if len(different) != 1:
        raise UsageError(f"Say which cell of '{path}' is meant, as {path}:Name.{_known(path, cells)}")
    return next(iter(different.values()))


def _known(path: Path, cells: dict[str, Cell]) -> str:
    return f" Cells in it: {', '.join(cells)}." if cells else f" '{path}' holds no Cell."


def _run(path: Path) -> ModuleType:
    """The file as a module; like a script, it can import the files beside it."""
    spec = importlib.util.spec_from_file_location("ricorso_cell_file", path.resolve())
    if spec is None or spec.loader is None:
        raise UsageError(f"'{path}' is not a Python file; its name must end in .py.")
    module = importlib.util.module_from_spec(spec)
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    sys.modules[module.__name__] = module
    try:
        spec.loader.exec_module(module)
    except SyntaxError as error:
        raise UsageError(f"'{error.filename or path}', line {error.lineno}: {error.msg}.") from error
    except RicorsoError as error:
        kind = CellError if isinstance(error, CellError) else UsageError
        raise kind(f"'{path}', line {_line(error, path)}: {error}") from error
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise UsageError(f"'{path}', line {_line(error, path)}: {told}.") from error
    finally:
        sys.path.remove(folder)
        del sys.modules[module.__name__]
    return module


def _line(error: BaseException, path: Path) -> int:
    """The last line of the file itself on the way to an error."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if Path(frame.filename) == path.resolve()]
    return (own and own[-1]) or 0
