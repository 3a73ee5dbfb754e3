import random

import pytest

from ricorso.tuning.importance import FEWEST_TRIALS, importance


def test_what_decides_the_loss_is_first_and_what_does_not_is_near_zero():
    draw = random.Random(0)
    settings = [
        {"noise": draw.random(), "cell": draw.choice(["gru", "lstm"]), "rate": draw.random()} for _ in range(60)
    ]
    # a valley: no correlation would see it
    losses = [(trial["rate"] - 0.5) ** 2 + 0.03 * (trial["cell"] == "gru") for trial in settings]
    shares = importance(settings, losses).shares
    assert list(shares) == ["rate", "cell", "noise"]
    assert shares["rate"] > 0.6
    assert shares["noise"] < 0.1


def test_chance_alone_gives_about_nothing():
    found = []
    for seed in range(40):
        draw = random.Random(seed)
        found.append(
            importance([{"a": draw.random()} for _ in range(12)], [draw.random() for _ in range(12)]).shares["a"]
        )
    # without the correction for chance the mean would be 3 / 11
    assert sum(found) / len(found) < 0.15


def test_pruned_trials_lie_behind_all_others():
    settings = [{"a": name} for name in "xxxxyyyy"]
    assert importance(settings, [1.0, 2.0, 3.0, 4.0, None, None, None, None]).shares["a"] > 0.7


@pytest.mark.parametrize("losses", [[1.0] * 8, [None] * 8])
def test_equal_losses_have_no_reason(losses):
    settings = [{"a": n, "b": None if n % 2 else 64, "c": 1} for n in range(8)]
    assert importance(settings, losses).shares == {"a": 0.0, "b": 0.0, "c": 0.0}


def test_few_trials_say_nothing():
    assert importance([{"a": n} for n in range(FEWEST_TRIALS - 1)], [1.0] * (FEWEST_TRIALS - 1)).shares == {}
