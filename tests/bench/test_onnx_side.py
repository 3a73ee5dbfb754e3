import pytest
import torch

from ricorso.bench import onnx_side
from ricorso.bench.onnx_side import fastest, made_model, missing, sequence_sides, stream_sides
from ricorso.bench.sequence import PAIRS, pair
from ricorso.errors import UsageError

here = pytest.mark.skipif(bool(missing()), reason="ONNX Runtime comes with the extra `peers`")


@here
@pytest.mark.parametrize("kind", PAIRS)
def test_every_setting_computes_what_torch_does(kind):
    _, layer = pair(kind, 8, 8)
    x = torch.randn(6, 3, 8)
    with torch.no_grad():
        output, last = layer(x)
    finals = list(last) if isinstance(last, tuple) else [last]
    for sides, wanted in ((sequence_sides(kind, layer, x), [output, *finals]), (stream_sides(kind, layer, x), finals)):
        assert {"arrays", "bound memory"} == {side.setting.split(", ")[1] for side in sides}
        for side in sides:
            for _ in range(2):  # nothing may be left of a run before
                torch.testing.assert_close(side(), wanted, rtol=1e-5, atol=1e-6)
            side.close()
            torch.testing.assert_close(side(), wanted, rtol=1e-5, atol=1e-6)


@here
def test_the_fastest_setting_is_taken_and_all_are_closed(monkeypatch):
    monkeypatch.setattr(onnx_side, "SECONDS_OF_TRIAL", 0.001)
    _, layer = pair("gru", 8, 8)
    sides = sequence_sides("gru", layer, torch.randn(3, 2, 8))
    run = iter(range(100))
    monkeypatch.setattr(onnx_side, "alternate", lambda *_, **__: {"": type("Taken", (), {"median": -next(run)})})
    assert fastest(sides) is sides[-1]
    assert all(side._run is None for side in sides)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(onnx_side, "find_spec", lambda name: None)
    onnx_side.missing.cache_clear()
    try:
        assert missing() == "onnx and onnxruntime"
        with pytest.raises(UsageError, match="pip install onnx onnxruntime"):
            made_model("gru", pair("gru", 8, 8)[1], 1, 1, ["Y"], initial=False)
    finally:
        onnx_side.missing.cache_clear()
