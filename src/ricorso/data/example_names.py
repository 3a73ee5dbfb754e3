"""What people call the columns of labels, texts, examples and times."""

import re
from collections.abc import Iterable, Sequence

_LABELS = (
    r"labels?", r"class(es)?", r"categor(y|ies)", r"target", r"y", r"sentiment", r"topics?", r"intent", r"emotions?",
    r"genres?", r"language", r"lang", r"activity", r"speaker", r"tags?", r"polarity",
    r"(.*[ _.-])?(label|class|category|sentiment|topic|intent|emotion)s?([ _.-]?(index|id|name|num|number|text))?",
    r"rating", r"stars?", r"score",
)  # fmt: skip
_TEXTS = (
    r"texts?", r"reviews?", r"sentences?", r"comments?", r"content", r"body", r"message", r"questions?", r"tweets?",
    r"utterances?", r"documents?", r"doc", r"posts?", r"description", r"abstract", r"article", r"passage", r"query",
    r"(.*[ _.-])?(text|review|sentence|comment|content|body|message|tweet|description)",
)  # fmt: skip
_TITLES = r"title|headline|subject|summary|review[ _]?title"
_EXAMPLES = (
    r"((example|sample|recording|sequence|series|case|window|session|trial|segment)[ _-]?)?(id|ids|no|nr|number|index)"
)
_EXAMPLES += (
    r"|examples?|samples?|recording|sequence|series|case|window|session|trial|segment|idx|guid|uuid|key|file|(.*_)id"
)
_TIMES = r"time|timestamp|t|step|date|datetime|tick|frame|(.*[ _])(time|timestamp|step)"


def best_label(names: Iterable[str]) -> str | None:
    """The name that most likely is a label's.

    >>> best_label(["id", "rating", "label", "text"])
    'label'
    """
    return _best(names, _LABELS)


def could_be_label(name: str) -> bool:
    """Whether people call a column of labels so."""
    return _best([name], _LABELS) is not None


def best_text(names: Sequence[str]) -> tuple[str, ...]:
    """The names that most likely are a text's: a title stands beside its text, or alone.

    >>> best_text(["Class Index", "Title", "Description"])
    ('Title', 'Description')
    """
    main = _best(names, _TEXTS)
    titles = [name for name in names if re.fullmatch(_TITLES, _plain(name))]
    return tuple(name for name in names if name == main or name in titles)


def could_be_text(name: str) -> bool:
    """Whether people call a column of texts so."""
    return bool(best_text([name]))


def could_be_example(name: str) -> bool:
    """Whether people call a column so that says which example a row belongs to."""
    return re.fullmatch(_EXAMPLES, _plain(name)) is not None


def could_be_time(name: str) -> bool:
    """Whether people call a column of times so."""
    return re.fullmatch(_TIMES, _plain(name)) is not None


def _plain(name: str) -> str:
    return name.strip().lower()


def _best(names: Iterable[str], patterns: Sequence[str]) -> str | None:
    names = list(names)
    if any(_plain(name) == "x" for name in names):
        names = [name for name in names if _plain(name) != "y"]  # the axes of a sensor
    found = (name for pattern in patterns for name in names if re.fullmatch(pattern, _plain(name)))
    return next(found, None)
