import os
import signal
import threading

import pytest

from ricorso.training.interrupt import listening


@pytest.fixture(autouse=True)
def _heard():
    """A shell has what it starts in the background ignore SIGINT."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_becomes_a_request_and_the_old_handler_comes_back(number: signal.Signals) -> None:
    before = signal.getsignal(number)
    with listening() as stop:
        assert not stop.made
        os.kill(os.getpid(), number)
        assert stop.made
    assert signal.getsignal(number) is before


def test_a_second_interrupt_breaks_off() -> None:
    with listening() as stop:
        os.kill(os.getpid(), signal.SIGINT)
        assert stop.made
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_other_threads_may_train_without_signals() -> None:
    made: list[bool] = []

    def train() -> None:
        with listening() as stop:
            made.append(stop.made)

    thread = threading.Thread(target=train)
    thread.start()
    thread.join()
    assert made == [False]


def test_an_ignored_signal_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with listening() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert not stop.made
    finally:
        signal.signal(signal.SIGINT, before)
