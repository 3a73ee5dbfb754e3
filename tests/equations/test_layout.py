import random
from itertools import combinations, pairwise

import pytest

from ricorso.cells import CATALOGUE
from ricorso.equations.diagram import Diagram
from ricorso.equations.layout import Box, place
from ricorso.equations.picture import _box


def graph(seed):
    """A random graph without circles."""
    rng = random.Random(seed)
    boxes = [Box(rng.choice([20, 60]), rng.choice([20, 40])) for _ in range(14)]
    edges = [(a, b) for a, b in combinations(range(14), 2) if rng.random() < 0.2]
    return boxes, edges


@pytest.mark.parametrize("seed", range(5))
def test_boxes_do_not_overlap_and_lines_lead_to_the_right(seed):
    boxes, edges = graph(seed)
    placed = place(boxes, edges)
    for (box, (x, y)), (other, (u, v)) in combinations(zip(boxes, placed.centres, strict=True), 2):
        apart = abs(x - u) >= (box.width + other.width) / 2 or abs(y - v) >= (box.height + other.height) / 2
        assert apart
    for route in placed.routes:
        assert [point[0] for point in route] == sorted(point[0] for point in route)
    assert all(0 <= x <= placed.width and 0 <= y <= placed.height for x, y in placed.centres)


@pytest.mark.parametrize("seed", range(5))
def test_no_line_runs_through_a_box(seed):
    boxes, edges = graph(seed)
    placed = place(boxes, edges)
    for route in placed.routes:
        for box, (x, y) in zip(boxes, placed.centres, strict=True):
            for u, v in route[1:-1]:
                assert not (abs(x - u) < box.width / 2 and abs(y - v) < box.height / 2)


def test_a_line_that_passes_a_column_is_straight_where_there_is_room():
    boxes = [Box(20, 20)] * 4
    placed = place(boxes, [(0, 1), (1, 2), (2, 3), (0, 3)])
    heights = {point[1] for point in placed.routes[3][1:-1]}
    assert len(heights) == 1


def test_the_order_of_a_column_removes_crossings():
    boxes = [Box(20, 20)] * 6
    placed = place(boxes, [(0, 5), (1, 4), (2, 3)])
    left = sorted(range(3), key=lambda n: placed.centres[n][1])
    right = sorted(range(3, 6), key=lambda n: placed.centres[n][1])
    assert [5 - n for n in left] == right


def test_the_same_graph_gives_the_same_layout():
    assert place(*graph(3)) == place(*graph(3))


def test_places_at_the_end_and_just_before_their_use():
    boxes = [Box(20, 20), Box(20, 20), Box(20, 20), Box(20, 20, last=True), Box(20, 20, loose=True)]
    placed = place(boxes, [(0, 1), (1, 2), (0, 3), (4, 2)])
    columns = [centre[0] for centre in placed.centres]
    assert columns[3] == columns[2]
    assert columns[4] == columns[1]


def crossings(placed):
    """How often pieces of lines cross between two columns."""
    pieces = {piece for route in placed.routes for piece in pairwise(route) if piece[0][0] != piece[1][0]}
    return sum(
        (a[1] - c[1]) * (b[1] - d[1]) < 0
        for (a, b), (c, d) in combinations(sorted(pieces), 2)
        if a[0] < d[0] and c[0] < b[0]
    )


def layout_of(name):
    """The layout of the picture of a cell."""
    diagram = Diagram(CATALOGUE[name])
    return place([_box(node) for node in diagram.nodes], [(edge.source, edge.target) for edge in diagram.edges])


def test_lines_of_a_large_picture_are_mostly_straight_and_seldom_cross():
    placed = layout_of("slstm")
    bends = sum(a[1] != b[1] for route in placed.routes for a, b in pairwise(route))
    assert bends <= 60, "without straightening it is 96"
    assert crossings(placed) <= 18, "without swapping neighbours it is 19"
