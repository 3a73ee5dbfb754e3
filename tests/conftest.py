"""Packages that several rooms are compared with, and what all tests have in common."""

import gc
import os
import signal

import pytest


def pytest_configure():
    # a shell starts what runs in the background without Ctrl-C, on which some tests rely
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # a full garbage collection walks through all that is loaded, torch and the tests: one in twenty will do
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, 200)
    if "PYTEST_XDIST_WORKER" in os.environ:
        # workers share the cores; so do the processes that they start
        os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def keras(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KERAS_BACKEND", "torch")
        patch.setenv("KERAS_HOME", str(tmp_path_factory.mktemp("keras")))  # where it writes its settings
        module = pytest.importorskip("keras", reason="Keras comes with the extra `peers`")
    if module.backend.backend() != "torch":
        pytest.skip("Keras runs on another backend here")
    with module.device("cpu"):
        yield module
