"""A picture of a report: how many times as fast, a panel for each section; one self-contained SVG."""

import math
from collections.abc import Sequence
from html import escape

from ricorso.bench.plan import KINDS, Report
from ricorso.bench.question import Answer
from ricorso.bench.section import SECTIONS
from ricorso.bench.summary import Mean, means, times_as_fast

HEADING = "How many times as fast as torch.nn is Ricorso here?"
COLOURS = {"lstm": "#2563eb", "gru": "#15803d", "rnn": "#b45309"}
OTHER_COLOURS = ("#7e22ce", "#be123c", "#0f766e", "#475569")
INK, SOFT, LINE, RED = "#0f172a", "#64748b", "#e2e8f0", "#b91c1c"
FONT = "font-family=\"'Segoe UI', Helvetica, Arial, sans-serif\""
MARGIN, GAP, HEAD, FOOT = 20.0, 36.0, 64.0, 30.0
LABELS, PLOT, VALUES = 96.0, 300.0, 96.0
PANEL = LABELS + PLOT + VALUES
ROW, CELL, TITLE, AXIS = 16.0, 22.0, 26.0, 24.0


def picture(report: Report) -> str:
    """The SVG of a report."""
    panels = [_Panel(section, rows) for section, rows in _sections(report.answers)]
    scale = _Scale(report.answers)
    columns: list[list[_Panel]] = [[], []]
    for panel in panels:
        min(columns, key=_height).append(panel)
    columns = [column for column in columns if column]
    width = 2 * MARGIN + len(columns) * PANEL + max(len(columns) - 1, 0) * GAP
    height = HEAD + max(map(_height, columns), default=0.0) + FOOT + MARGIN
    size = f'width="{width:.0f}" height="{height:.0f}"'
    drawn = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {width:.0f} {height:.0f}" {FONT}>',
        f"<title>{HEADING}</title>",
        f'<rect {size} fill="#ffffff"/>',
        _text(MARGIN, MARGIN + 14, HEADING, size=17, weight=600),
        _text(MARGIN, MARGIN + 34, _machine(report), colour=SOFT),
    ]
    found = means(report.answers)
    for number, column in enumerate(columns):
        y = HEAD
        for panel in column:
            drawn += panel.drawn(MARGIN + number * (PANEL + GAP), y, scale, found)
            y += panel.height
    drawn += _legend(report.answers, height - MARGIN)
    return "\n".join([*drawn, "</svg>"]) + "\n"


def _sections(answers: Sequence[Answer]) -> list[tuple[str, list[Answer]]]:
    groups = [(section, [a for a in answers if a.section == section]) for section in SECTIONS]
    return [(section, rows) for section, rows in groups if rows]


def _height(column: "Sequence[_Panel]") -> float:
    return sum(panel.height for panel in column)


class _Scale:
    """Ratios on a logarithmic axis that all panels share; 0 to 1."""

    def __init__(self, answers: Sequence[Answer]) -> None:
        ratios = [answer.ratio(peer) for answer in answers for peer in answer.peers]
        self.low = math.floor(math.log2(min([*ratios, 0.5])))
        self.high = math.ceil(math.log2(max([*ratios, 2.0])))

    @property
    def ticks(self) -> list[float]:
        """Powers of two."""
        return [2.0**exponent for exponent in range(self.low, self.high + 1)]

    def __call__(self, ratio: float) -> float:
        share = (math.log2(ratio) - self.low) / (self.high - self.low)
        return min(max(share, 0.0), 1.0)


class _Panel:
    """One section: its cells one below the other, a row for each size."""

    def __init__(self, section: str, rows: Sequence[Answer]) -> None:
        self.section, self.rows = section, rows
        self.cells = list(dict.fromkeys(row.cell for row in rows))
        self.height = TITLE + AXIS + len(self.cells) * CELL + len(rows) * ROW + GAP / 2

    def drawn(self, left: float, top: float, scale: _Scale, found: Sequence[Mean]) -> list[str]:
        title = SECTIONS[self.section].title.format(steps=self.rows[0].steps, quarter=-(-self.rows[0].steps // 4))
        parts = [_text(left, top + 14, title, size=13, weight=600)]
        y, start = top + TITLE, left + LABELS
        bottom = y + len(self.cells) * CELL + len(self.rows) * ROW
        for tick in scale.ticks:
            x = start + PLOT * scale(tick)
            colour, width = (SOFT, 1.4) if tick == 1 else (LINE, 1)
            down = f"M{x:.1f} {y + 4:.1f}V{bottom + 4:.1f}"
            parts.append(f'<path d="{down}" stroke="{colour}" stroke-width="{width}" fill="none"/>')
            parts.append(_text(x, bottom + 18, f"{tick:g}", colour=SOFT, anchor="middle", size=11))
        parts += self._value_heads(left, y)
        for cell in self.cells:
            own = [mean for mean in found if (mean.section, mean.cell) == (self.section, cell)]
            parts += self._cell_line(cell, own, left, y + 15)
            y += CELL
            for row in (row for row in self.rows if row.cell == cell):
                parts += self._row(row, left, y + ROW / 2, scale)
                y += ROW
        return parts

    def _value_heads(self, left: float, top: float) -> list[str]:
        heads = ["torch" if any(row.cell in KINDS for row in self.rows) else "loop"]
        heads += ["ONNX"] if any("onnxruntime" in row.peers for row in self.rows) else []
        return [
            _text(left + LABELS + PLOT + 46 * (n + 1), top - 2, head, colour=SOFT, anchor="end", size=10)
            for n, head in enumerate(heads)
        ]

    def _cell_line(self, cell: str, found: Sequence[Mean], left: float, y: float) -> list[str]:
        name = cell.upper() if cell in KINDS else f"{cell} (beside a torch loop)"
        parts = [_text(left, y, name, colour=_colour(cell), weight=600)]
        for mean in found:
            if mean.count > 1:
                place = _value_place(left, mean.peer)
                parts.append(_text(place, y, times_as_fast(mean.ratio), anchor="end", weight=600, size=11))
        return parts

    def _row(self, row: Answer, left: float, y: float, scale: _Scale) -> list[str]:
        label = f"{row.hidden} × {row.batch}" if self.section != "step" else str(row.hidden)
        parts = [_text(left + LABELS - 8, y + 4, label, colour=SOFT, anchor="end", size=11)]
        start = left + LABELS
        if row.refusal:
            return [*parts, _text(start + PLOT * scale(1.0) + 6, y + 4, "results differ", colour=RED, size=11)]
        for number, peer in enumerate(row.peers):
            ratio, (low, high) = row.ratio(peer), row.spread(peer)
            x, one = start + PLOT * scale(ratio), start + PLOT * scale(1.0)
            if number == 0:
                opacity = 1.0 if ratio >= 1 else 0.45
                parts.append(
                    f'<rect x="{min(x, one):.1f}" y="{y - 5:.1f}" width="{abs(x - one):.1f}" height="10" '
                    f'fill="{_colour(row.cell)}" fill-opacity="{opacity}"/>'
                )
                ends = start + PLOT * scale(low), start + PLOT * scale(high)
                parts.append(
                    f'<path d="M{ends[0]:.1f} {y:.1f}H{ends[1]:.1f}" stroke="{INK}" stroke-width="1" fill="none"/>'
                )
            else:
                parts.append(_diamond(x, y))
            parts.append(_text(_value_place(left, peer), y + 4, times_as_fast(ratio), anchor="end", size=11))
        return parts


def _value_place(left: float, peer: str) -> float:
    return left + LABELS + PLOT + 46 * (2 if peer == "onnxruntime" else 1)


def _diamond(x: float, y: float) -> str:
    shape = f"M{x - 4.5:.1f} {y:.1f}l4.5 -4.5l4.5 4.5l-4.5 4.5z"
    return f'<path d="{shape}" fill="#ffffff" stroke="{INK}" stroke-width="1.3"/>'


def _colour(cell: str) -> str:
    # the same colour in every panel, whatever else is asked
    return COLOURS.get(cell) or OTHER_COLOURS[sum(cell.encode()) % len(OTHER_COLOURS)]


def _machine(report: Report) -> str:
    machine, versions = report.about["machine"], report.about["versions"]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    return f"{machine['processor']} ({machine['architecture']}), {threads}, torch {versions['torch']}, float32, medians"


def _legend(answers: Sequence[Answer], y: float) -> list[str]:
    told = "Rows: units × batch; bold: geometric mean. Bar: beside torch, right of 1 is faster; line: quartiles."
    parts = [_text(MARGIN, y - 18, told, colour=SOFT, size=11)]
    if any("onnxruntime" in answer.peers for answer in answers):
        parts += [_diamond(MARGIN + 5, y - 4), _text(MARGIN + 15, y, "beside ONNX Runtime", colour=SOFT, size=11)]
    return parts


def _text(
    x: float, y: float, words: str, colour: str = INK, anchor: str = "start", size: int = 12, weight: int = 400
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}" font-weight="{weight}" '
        f'fill="{colour}">{escape(words)}</text>'
    )
