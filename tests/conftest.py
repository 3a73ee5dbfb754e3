"""Packages that several rooms are compared with."""

import pytest


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
