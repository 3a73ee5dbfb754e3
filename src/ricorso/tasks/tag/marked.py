"""Tagged sentences as a page: spans on coloured ground, or the tag over each word."""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path

from ricorso.bundle import write_text
from ricorso.data.spans import spans_of
from ricorso.pages.page import page

# below this probability a tag is shown as unsure
_SURE = 0.8
_COLOURS = 8
_NO_BLANK_BEFORE = frozenset(".,;:!?)]}%'’”…")
_NO_BLANK_AFTER = frozenset("([{$£€“")

STYLE = """<style>
.tagged p { max-width: none; line-height: 2.3; }
.tagged mark { color: inherit; padding: .12em .3em; border-radius: .3em;
  background: color-mix(in srgb, var(--kind) 26%, transparent); border-bottom: 2px solid var(--kind); }
.tagged mark small { margin-left: .45em; font-size: .68em; font-weight: 600; color: var(--kind); }
.tagged ruby { margin-right: .3em; }
.tagged rt { font-size: .62em; color: var(--kind); }
.tagged .unsure { background: none; border-bottom-style: dashed; }
.tagged rt.unsure { text-decoration: underline dashed; }
</style>
"""


@dataclass(frozen=True)
class Marked:
    """Sentences with their tags; a notebook shows them by itself, `save` writes a page that opens without a network.

    sentences, tags: a word and a tag at each step. chances: how probable each tag is. spans: whether tags mark spans.
    """

    sentences: Sequence[Sequence[str]]
    tags: Sequence[Sequence[str]]
    chances: Sequence[Sequence[float]]
    spans: bool

    def save(self, path: str | Path) -> Path:
        """Write the page and return its path. Raises RunError when it cannot be written."""
        return write_text(path, self.page())

    def page(self) -> str:
        """The whole page as HTML."""
        return page("Tagged text", f"<h1>Tagged text</h1>\n{self.section()}")

    def section(self) -> str:
        """The sentences as a part of a page."""
        kinds = self._kinds()
        each = zip(self.sentences, self.tags, self.chances, strict=True)
        draw = _spans if self.spans else _words
        lines = "\n".join(f"<p>{draw(list(words), list(tags), chances, kinds)}</p>" for words, tags, chances in each)
        what = "A span" if self.spans else "A tag"
        told = f'<p class="soft">{what} with a broken line has a probability below {_SURE:.0%}.</p>'
        return f'{STYLE}<div class="tagged">\n{lines}\n</div>\n{told}'

    def _kinds(self) -> dict[str, str]:
        """The colour of each kind of span, or of each tag."""
        if self.spans:
            names = {span.kind for tags in self.tags for span in spans_of(tags)}
        else:
            names = {tag for tags in self.tags for tag in tags}
        return {name: f"--kind: var(--c{n % _COLOURS})" for n, name in enumerate(sorted(names))}

    def _repr_html_(self) -> str:
        # a frame of its own keeps the style of the page and that of the notebook apart
        return (
            f'<iframe srcdoc="{escape(self.page())}" title="Tagged text" '
            f'style="width: 100%; height: 30rem; border: 0"></iframe>'
        )


def _spans(words: list[str], tags: list[str], chances: Sequence[float], kinds: dict[str, str]) -> str:
    found, done = "", 0
    for start, end, kind in spans_of(tags):
        chance = min(chances[start:end])
        unsure = "" if chance >= _SURE else ' class="unsure"'
        inside = escape(joined(words[start:end]))
        mark = (
            f'<mark{unsure} style="{kinds[kind]}" title="{escape(kind)}, {chance:.0%}">{inside}'
            f"<small>{escape(kind)}</small></mark>"
        )
        # what stands between two spans, with the blanks that belong around it
        found += _between(words, done, start) + mark
        done = end
    return found + _between(words, done, len(words))


def _between(words: list[str], start: int, end: int) -> str:
    before = _blank(words[start - 1], words[start]) if 0 < start < len(words) and start < end else ""
    after = _blank(words[end - 1], words[end]) if 0 < end < len(words) else ""
    return before + escape(joined(words[start:end])) + after


def _words(words: list[str], tags: list[str], chances: Sequence[float], kinds: dict[str, str]) -> str:
    found = ""
    for word, tag, chance in zip(words, tags, chances, strict=True):
        unsure = "" if chance >= _SURE else ' class="unsure"'
        found += (
            f'<ruby style="{kinds[tag]}" title="{escape(tag)}, {chance:.0%}">{escape(word)}'
            f"<rt{unsure}>{escape(tag)}</rt></ruby> "
        )
    return found.rstrip()


def joined(words: Sequence[str]) -> str:
    """Words as running text.

    >>> joined(["Paul", "(", "24", ")", "sleeps", "."])
    'Paul (24) sleeps.'
    """
    text = ""
    for before, word in zip(["", *words], words, strict=False):
        text += _blank(before, word) + word if before else word
    return text


def _blank(before: str, word: str) -> str:
    glued = word[0] in _NO_BLANK_BEFORE or before[-1] in _NO_BLANK_AFTER
    return "" if glued else " "
