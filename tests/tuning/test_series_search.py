"""A search over forecasters: the same each time, cut off or not, here or in a worker."""

import io
import json
import math

import pytest
from small_search import Copying

import ricorso
from ricorso.errors import UsageError
from ricorso.tuning import continue_search, tune
from ricorso.tuning.process import serve
from ricorso.tuning.trial import Job, Reporter, train

SMALL = {
    "horizon": 4, "season": 4, "context": 12, "segment": 4, "hidden_size": 8, "batch_size": 16, "epochs": 2,
    "windows_per_epoch": 60, "threads": 1, "validations": 3, "quantiles": (0.1, 0.5, 0.9),
}  # fmt: skip
SPACE = {"learning_rate": "1e-3..1e-1:log", "linear": [True, False], "dropout": "0..0.5"}
TRIALS = 5


@pytest.fixture(scope="module")
def sales(tmp_path_factory):
    path = tmp_path_factory.mktemp("series") / "sales.csv"
    rows = [
        f"{shop},2024-01-{1 + t // 24:02d} {t % 24:02d}:00,{level + 5 * math.sin(t * math.pi / 2):.3f}"
        for shop, level, steps in (("a", 20, 60), ("b", 40, 50))
        for t in range(steps)
    ]
    path.write_text("\n".join(["shop,when,sold", *rows, ""]))
    return path


@pytest.fixture(scope="module")
def found(sales):
    out = sales.parent / "search"
    listener = Copying(sales.parent / "cut-off", ended=3)
    return tune("forecast", sales, trials=TRIALS, space=SPACE, settings=SMALL, out=out, folds=2, listener=listener)


def told(result):
    """What must come out the same each time."""
    return [(row.number, row.state, row.losses, row.settings, row.measured) for row in result.trials]


def test_the_same_seed_gives_the_same_ranking(found, sales, tmp_path):
    again = tune("forecast", sales, trials=TRIALS, space=SPACE, settings=SMALL, out=tmp_path / "t", folds=2, keep=0)
    assert told(again) == told(found)
    assert [row.number for row in again.ranking] == [row.number for row in found.ranking]
    assert len({row.loss for row in found.ranking}) == len(found.ranking) > 1
    assert all(row.loss == pytest.approx(sum(row.losses) / 2) for row in found.ranking)


def test_a_search_that_was_cut_off_goes_on_as_if_nothing_had_been(found, sales):
    result = continue_search(sales.parent / "cut-off")
    assert told(result) == told(found)
    assert [row.interrupted for row in result.trials] == [0, 0, 0, 1, 0]


def test_the_same_call_continues(found, sales):
    result = tune("forecast", sales, trials=TRIALS, space=SPACE, settings=SMALL, out=found.folder, folds=2)
    assert told(result) == told(found)


def test_the_best_can_be_loaded_and_its_settings_trained(found, sales):
    kept = ricorso.load(found.best.folder / "fold-2")
    assert kept.best_["validation_loss"] == found.best.losses[1]
    # read as the whole was, and not by a guess of its own
    assert kept.config_.targets == ("sold",)
    # the last fold is all there is
    assert ricorso.Forecaster(**found.best_settings).fit(sales).best_["validation_loss"] == found.best.losses[1]


class Patient(Reporter):
    def progress(self, share):
        pass

    def report(self, step, loss):
        return False


def test_a_worker_trains_the_same(found, sales):
    parts = [(str(found.folder / "folds" / f"{n}.parquet"), None, READING) for n in (1, 2)]
    job = Job("forecast", {**SMALL, **found.best.settings}, tuple(parts), None)
    assert tuple(train(job, Patient())) == found.best.losses
    out = io.StringIO()
    with pytest.raises(IndexError):  # there is no job after the last
        serve(Said([vars(job), *[{"hopeless": False}] * 6]), out)
    assert json.loads(out.getvalue().splitlines()[-1]) == {"losses": list(found.best.losses)}


class Said:
    """What a search says to its worker, through JSON."""

    def __init__(self, lines):
        self._lines = [json.loads(json.dumps(line)) for line in lines]

    def get(self):
        return self._lines.pop(0)


READING = {"time": "when", "series": "shop", "targets": ["sold"], "known": [], "frequency": "hour", "season": 4}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"space": {"loss": ["mse", "mae"]}}, "'loss' cannot be searched: it decides what the loss is"),
        (
            {"space": {"difference": [True, False]}},
            "'difference' cannot be searched: the loss is measured on the scale",
        ),
        ({"validation": "v.csv"}, "holds out a part of its data itself"),
    ],
)
def test_a_wrong_question_is_refused_and_leaves_nothing_behind(changes, message, sales, tmp_path):
    with pytest.raises(UsageError, match=message):
        tune("forecast", sales, trials=2, **{"space": SPACE, "settings": SMALL, "out": tmp_path / "t"} | changes)
    assert list(tmp_path.iterdir()) == []
