"""Where the nodes of a picture go: columns from left to right, few crossings, straight lines.

The steps are those of Sugiyama, Tagawa and Toda 1981: a column for each node, stand-ins where a line passes a column,
an order within each column, heights.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

SWEEPS = 30
LINE_HEIGHT, GAP, COLUMN_GAP = 4.0, 16.0, 44.0

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """What is to be placed. last: in the last column; loose: just before its first use, not as early as it can be."""

    width: float
    height: float
    last: bool = False
    loose: bool = False


@dataclass(frozen=True)
class Placed:
    """Centres of the boxes; for each edge the points it passes; the size of the whole."""

    centres: tuple[Point, ...]
    routes: tuple[tuple[Point, ...], ...]
    width: float
    height: float


def place(boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> Placed:
    """Place boxes joined by edges (from, to), which form no circle.

    >>> place([Box(20, 20), Box(20, 20)], [(0, 1)]).centres
    ((10.0, 10.0), (74.0, 10.0))
    """
    return _Layout(boxes, edges).placed()


class _Layout:
    """Items are boxes by number and, after them, stand-ins for lines that pass a column."""

    def __init__(self, boxes: Sequence[Box], edges: Sequence[tuple[int, int]]) -> None:
        self.boxes, self.edges = boxes, edges
        self.ranks = self._ranked()
        self.sizes = [(box.width, box.height) for box in boxes]
        self.columns: list[list[int]] = [[] for _ in range(max(self.ranks) + 1)]
        for item, rank in enumerate(self.ranks):
            self.columns[rank].append(item)
        self.chains = self._chains()
        self.links = {pair for (source, target) in edges for pair in _pairs([*self._passing(source, target), target])}
        self.before: dict[int, list[int]] = {item: [] for item in range(len(self.sizes))}
        self.after: dict[int, list[int]] = {item: [] for item in range(len(self.sizes))}
        for source, target in sorted(self.links):
            self.before[target].append(source)
            self.after[source].append(target)

    def _ranked(self) -> list[int]:
        ranks = [0] * len(self.boxes)
        for _ in self.boxes:
            for source, target in self.edges:
                ranks[target] = max(ranks[target], ranks[source] + 1)
        for item, box in enumerate(self.boxes):
            if box.last:
                ranks[item] = max(ranks)
            if box.loose:
                ranks[item] = min(ranks[target] for source, target in self.edges if source == item) - 1
        return ranks

    def _chains(self) -> list[list[int]]:
        """For each box, itself and its stand-ins in the columns up to its last target."""
        chains = []
        for item, rank in enumerate(self.ranks):
            chain = [item]
            furthest = max((self.ranks[t] for s, t in self.edges if s == item), default=rank)
            for column in range(rank + 1, furthest):
                chain.append(len(self.sizes))
                self.columns[column].append(len(self.sizes))
                self.sizes.append((0.0, LINE_HEIGHT))
            chains.append(chain)
        return chains

    def _passing(self, source: int, target: int) -> list[int]:
        return self.chains[source][: self.ranks[target] - self.ranks[source]]

    def placed(self) -> Placed:
        self._order()
        heights = self._heights()
        widths = [max(self.sizes[item][0] for item in column) for column in self.columns]
        lefts = [sum(widths[:n]) + n * COLUMN_GAP for n in range(len(widths))]
        middles = [left + width / 2 for left, width in zip(lefts, widths, strict=True)]
        top = min(heights[item] - self.sizes[item][1] / 2 for item in heights)
        y = {item: round(height - top, 1) for item, height in heights.items()}
        centres = tuple((middles[rank], y[item]) for item, rank in enumerate(self.ranks))
        routes = []
        for source, target in self.edges:
            points = [(middles[self.ranks[source]] + self.boxes[source].width / 2, y[source])]
            for column, item in enumerate(self._passing(source, target)[1:], self.ranks[source] + 1):
                points += [(lefts[column], y[item]), (lefts[column] + widths[column], y[item])]
            points.append((middles[self.ranks[target]] - self.boxes[target].width / 2, self._entry(source, target, y)))
            routes.append(tuple(points))
        bottom = max(y[item] + self.sizes[item][1] / 2 for item in y)
        return Placed(centres, tuple(routes), lefts[-1] + widths[-1], bottom)

    def _entry(self, source: int, target: int, y: dict[int, float]) -> float:
        """The height at which a line enters a box, lines from above over lines from below."""
        coming = sorted({self._passing(s, t)[-1] for s, t in self.edges if t == target}, key=y.__getitem__)
        number = coming.index(self._passing(source, target)[-1])
        step = min(12.0, 0.7 * self.boxes[target].height / len(coming))
        return y[target] + round((number - (len(coming) - 1) / 2) * step, 1)

    def _order(self) -> None:
        best, fewest = [list(column) for column in self.columns], self._crossings()
        for sweep in range(SWEEPS):
            forward = sweep % 2 == 0
            columns = range(1, len(self.columns)) if forward else range(len(self.columns) - 2, -1, -1)
            for number in columns:
                beside = self.columns[number - 1 if forward else number + 1]
                place = {item: position for position, item in enumerate(beside)}
                near = self.before if forward else self.after
                self._sort(number, place, near)
            self._swap()
            if (crossings := self._crossings()) < fewest:
                best, fewest = [list(column) for column in self.columns], crossings
        self.columns = best

    def _sort(self, number: int, place: dict[int, int], near: dict[int, list[int]]) -> None:
        column = self.columns[number]
        current = {item: float(position) for position, item in enumerate(column)}

        def key(item: int) -> float:
            places = [place[other] for other in near[item]]
            return sum(places) / len(places) if places else current[item]

        column.sort(key=key)

    def _swap(self) -> None:
        """Exchange neighbours in a column wherever that removes crossings."""
        for number, column in enumerate(self.columns):
            for position in range(len(column) - 1):
                now = self._crossings_beside(number)
                column[position : position + 2] = column[position : position + 2][::-1]
                if self._crossings_beside(number) >= now:
                    column[position : position + 2] = column[position : position + 2][::-1]

    def _crossings(self) -> int:
        return sum(self._crossings_between(number) for number in range(len(self.columns) - 1))

    def _crossings_beside(self, number: int) -> int:
        numbers = [n for n in (number - 1, number) if 0 <= n < len(self.columns) - 1]
        return sum(self._crossings_between(n) for n in numbers)

    def _crossings_between(self, number: int) -> int:
        left = {item: position for position, item in enumerate(self.columns[number])}
        right = {item: position for position, item in enumerate(self.columns[number + 1])}
        ends = [(left[item], right[other]) for item in self.columns[number] for other in self.after[item]]
        return sum((a - c) * (b - d) < 0 for n, (a, b) in enumerate(ends) for c, d in ends[:n])

    def _heights(self) -> dict[int, float]:
        y: dict[int, float] = {}
        for column in self.columns:
            height = 0.0
            for item in column:
                y[item] = height + self.sizes[item][1] / 2
                height += self.sizes[item][1] + GAP
        for sweep in range(4 * SWEEPS):
            for column in self.columns if sweep % 2 == 0 else reversed(self.columns):
                wanted = [self._wanted(item, y) for item in column]
                for item, height in zip(column, self._apart(column, wanted), strict=True):
                    y[item] = height
        for chain in sorted(self.chains, key=len, reverse=True):
            self._straighten(chain, y)
        return y

    def _straighten(self, chain: Sequence[int], y: dict[int, float]) -> None:
        """Put stand-ins of a line at one height, as far as their neighbours leave room."""
        run: list[int] = []
        low, high = -inf, inf
        aim = y[chain[0]]
        for column, item in enumerate(chain[1:], self.ranks[chain[0]] + 1):
            room = self._room(column, item, y)
            if max(low, room[0]) > min(high, room[1]):
                aim = self._settle(run, aim, low, high, y)
                run, low, high = [], -inf, inf
            run.append(item)
            low, high = max(low, room[0]), min(high, room[1])
        if run and not low <= aim <= high:
            aim = sum(y[other] for other in self.after[run[-1]]) / len(self.after[run[-1]])
        self._settle(run, aim, low, high, y)

    def _settle(self, run: Sequence[int], aim: float, low: float, high: float, y: dict[int, float]) -> float:
        height = min(max(aim, low), high)
        y.update(dict.fromkeys(run, height))
        return height

    def _room(self, column: int, item: int, y: dict[int, float]) -> tuple[float, float]:
        items = self.columns[column]
        position = items.index(item)
        low, high = -inf, inf
        if position:
            low = y[items[position - 1]] + self._distance(items[position - 1], item)
        if position + 1 < len(items):
            high = y[items[position + 1]] - self._distance(item, items[position + 1])
        return low, high

    def _distance(self, upper: int, lower: int) -> float:
        return (self.sizes[upper][1] + self.sizes[lower][1]) / 2 + GAP

    def _wanted(self, item: int, y: dict[int, float]) -> float:
        near = [*self.before[item], *self.after[item]]
        if not near:
            return y[item]
        weights = [4.0 if max(item, other) >= len(self.boxes) else 1.0 for other in near]
        return sum(w * y[other] for w, other in zip(weights, near, strict=True)) / sum(weights)

    def _apart(self, column: Sequence[int], wanted: Sequence[float]) -> list[float]:
        """Heights nearest to those wanted (least squares) that keep the boxes apart: isotonic regression."""
        offsets = [0.0]
        for upper, lower in _pairs(column):
            offsets.append(offsets[-1] + self._distance(upper, lower))
        blocks: list[tuple[float, int]] = []
        for height, offset in zip(wanted, offsets, strict=True):
            total, count = height - offset, 1
            while blocks and blocks[-1][0] / blocks[-1][1] > total / count:
                above = blocks.pop()
                total, count = total + above[0], count + above[1]
            blocks.append((total, count))
        means = [total / count for total, count in blocks for _ in range(count)]
        return [mean + offset for mean, offset in zip(means, offsets, strict=True)]


def _pairs(items: Sequence[int]) -> list[tuple[int, int]]:
    return list(pairwise(items))
