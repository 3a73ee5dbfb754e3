"""The texts of a run: kept where they are in no file of their own, found again when training goes on."""

from pathlib import Path
from typing import Any

from ricorso import bundle
from ricorso.errors import RunError
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.data import Source, check_same, read_source


def copies(source: Source, validation: Source | None) -> dict[str, bytes]:
    """The texts that are in no file of their own, so that training can go on without them being given again."""
    named = ((bundle.TEXT, source), (bundle.VALIDATION_TEXT, validation))
    return {name: text.text.encode() for name, text in named if text and text.path is None}


def find_again(copy: Path, text: str | Path | None, fingerprint: dict[str, Any], config: GenerateConfig) -> Source:
    """The text of a run: `text` if it is given, else where it was, else the run's own copy.

    Raises DataError when it cannot be read, RunError when it is another text.
    """
    if text is None and fingerprint["path"] is None:
        try:
            source = Source(copy.read_bytes().decode(), None)
        except (OSError, ValueError) as error:
            raise RunError(f"'{copy}' cannot be read ({error}); give the text that the run was trained on.") from error
    else:
        source = read_source(Path(fingerprint["path"]) if text is None else text, config.encoding)
    check_same(source, fingerprint)
    return source
