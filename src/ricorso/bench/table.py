"""The answers as text: a table for each section with bars, and what they come to."""

from collections.abc import Sequence

from ricorso.bench.plan import KINDS, Report
from ricorso.bench.question import OURS, Answer
from ricorso.bench.section import SECTIONS
from ricorso.bench.summary import Mean, means, sentences, times_as_fast
from ricorso.bench.timing import Timing

# A full bar is that many times as fast, in every table.
BAR, FULL = 14, 8.0
# Times that scatter by more than this share of their median were disturbed.
DISTURBED = 0.2
HEADS = {"torch": "torch", "onnxruntime": "ONNX", "loop": "torch loop"}


def lines(report: Report, blocks: str = " ▏▎▍▌▋▊▉█") -> list[str]:
    """The whole report, line by line. blocks: parts of a bar, from nothing to full."""
    about = report.about
    machine = about["machine"]
    threads = "1 thread" if machine["threads"] == 1 else f"{machine['threads']} threads"
    where = f"{machine['processor']} ({machine['architecture']}), {threads}, torch {about['versions']['torch']}"
    shown = [f"{where}; large products run at {report.rate / 1e9:,.0f} GFLOP/s."]
    found = means(report.answers)
    for section in SECTIONS:
        for peers in (("torch", "onnxruntime"), ("loop",)):
            rows = [a for a in report.answers if a.section == section and (a.cell in KINDS) == ("torch" in peers)]
            if rows:
                present = [peer for peer in peers if any(peer in row.peers for row in rows)]
                shown += ["", *_section(section, rows, present, [m for m in found if m.section == section], blocks)]
    shown += [
        "",
        f"±: half the distance between the quartiles. x: times as fast; a bar is full at {FULL:g}. mean: geometric.",
    ]
    own_paths = [a for a in report.answers if a.times and _other_path(a)]
    shown += [f"* not through our own kernels: {own_paths[0].path}."] if own_paths else []
    shown += ["", *sentences(report.answers)]
    shown += [
        f"NOT TIMED: {a.section}, {a.cell}, {a.hidden} units, batch {a.batch}: {a.refusal}." for a in report.refused
    ]
    return shown + _disturbed(report) + report.plan.left_out()


def duration(taken: Timing) -> str:
    """A time with the spread around it.

    >>> duration(Timing(1.234e-3, 1.2e-3, 1.3e-3, 9))
    '1.23 ms ±4%'
    """
    seconds = taken.median
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size or unit == "µs":
            value = seconds / size
            break
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f"{value:.{digits}f} {unit} ±{_scatter(taken):.0%}"


def bar(share: float, blocks: str, width: int = BAR) -> str:
    """A bar of a share of the width.

    >>> bar(0.5, " #", 4)
    '##  '
    """
    eighths = round(min(max(share, 0), 1) * width * (len(blocks) - 1))
    full, rest = divmod(eighths, len(blocks) - 1)
    return (blocks[-1] * full + (blocks[rest] if rest else "")).ljust(width)


def _disturbed(report: Report) -> list[str]:
    """A warning where the machine was too busy for the figures to be worth much."""
    timed = [answer for answer in report.answers if answer.times]
    count = sum(any(_scatter(taken) > DISTURBED for taken in answer.times.values()) for answer in timed)
    if not count:
        return []
    told = f"Disturbed: in {count} of {len(timed)} comparisons times scatter by more than {DISTURBED:.0%}."
    return [f"{told} Close what else is running and ask again, or give more --seconds."]


def _scatter(taken: Timing) -> float:
    return (taken.high - taken.low) / 2 / taken.median


def _section(
    section: str, rows: Sequence[Answer], peers: Sequence[str], found: Sequence[Mean], blocks: str
) -> list[str]:
    first = rows[0]
    title = SECTIONS[section].title.format(steps=first.steps, quarter=-(-first.steps // 4))
    title += ", beside a torch loop" if "loop" in peers else ""
    heads = ["cell", "units", "batch", "Ricorso", *(HEADS[p] for p in peers)]
    heads += [f"x {HEADS[p]}" for p in peers] + [" " * BAR, "of products"]
    body: list[list[str]] = []
    for cell in dict.fromkeys(row.cell for row in rows):
        own = [row for row in rows if row.cell == cell]
        for row in own:
            body.append(_row(row, peers, blocks))
        of_cell = {mean.peer: mean for mean in found if mean.cell == cell}
        if len(own) > 1 and of_cell:
            ratios = [times_as_fast(of_cell[peer].ratio) if peer in of_cell else "" for peer in peers]
            filled = bar(of_cell[peers[0]].ratio / FULL, blocks) if peers[0] in of_cell else ""
            body.append([cell, "mean", *[""] * (2 + len(peers)), *ratios, filled, ""])
    widths = [max(len(row[n]) for row in [heads, *body]) for n in range(len(heads))]
    return [title, *(_line(row, widths, left={0, len(heads) - 2}) for row in [heads, *body])]


def _row(row: Answer, peers: Sequence[str], blocks: str) -> list[str]:
    sizes = [row.cell, str(row.hidden), str(row.batch)]
    if row.refusal:
        return [*sizes, "results differ", *[""] * (2 * len(peers) + 2)]
    times = [duration(row.times[name]) if name in row.times else "" for name in (OURS, *peers)]
    times[0] += "*" if _other_path(row) else ""
    ratios = [times_as_fast(row.ratio(peer)) if peer in row.times else "" for peer in peers]
    share = f"{row.share:.0%}" if row.share is not None else ""
    return [*sizes, *times, *ratios, bar(row.ratio(peers[0]) / FULL, blocks), share]


def _other_path(row: Answer) -> bool:
    return bool(row.path) and not row.path.startswith(("llvm", "triton"))


def _line(row: Sequence[str], widths: Sequence[int], left: set[int]) -> str:
    parts = [
        text.ljust(width) if n in left else text.rjust(width)
        for n, (text, width) in enumerate(zip(row, widths, strict=True))
    ]
    return ("  " + "  ".join(parts)).rstrip()
