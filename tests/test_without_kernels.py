"""Life without llvmlite: everything runs, in a process of its own, and one warning says what is lost."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys, warnings
sys.modules["llvmlite"] = None
told = []
warnings.simplefilter("always")
warnings.showwarning = lambda message, category, *_: told.append((category, str(message)))
import torch
torch.set_num_threads(1)
"""
WITH_ONE_WARNING = """
assert len(told) == 1, told
assert told[0][0] is RuntimeWarning
assert "llvmlite" in told[0][1] and "10 to 100 times slower" in told[0][1]
"""


def run_without(code: str, folder=None) -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT + code + WITH_ONE_WARNING], cwd=folder, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_layers_and_streams_of_every_cell() -> None:
    run_without("""
from ricorso.cells import CATALOGUE
from ricorso.equations.linear import linear
from ricorso.layers import Recurrent
for cell in CATALOGUE.values():
    torch.manual_seed(0)
    layer = Recurrent(cell, 5, 8, num_layers=2, dtype=torch.float64)
    for tokens in (False, True):
        x = torch.randint(0, 5, (4, 3)) if tokens else torch.randn(4, 3, 5, dtype=torch.float64)
        signals = {signal.name: torch.rand(4, 3, dtype=torch.float64) for signal in cell.signals}
        output, finals = layer(x, **signals)
        output.sum().backward()
        torch_has_it = cell.name in ("lstm", "gru", "elman_tanh", "elman_relu") and not tokens
        assert layer.path.startswith("torch" if torch_has_it else "scan" if linear(cell) else "naive"), layer.path
        stepper = layer.stepper(3, tokens)
        for t in range(4):
            out = stepper.step(x[t].numpy(), **{name: values[t].numpy() for name, values in signals.items()})
            assert (torch.from_numpy(out) - output[t]).abs().max() < 1e-12, cell.name
        finals = finals if isinstance(finals, tuple) else (finals,)
        for found, wanted in zip(stepper.states, finals, strict=True):
            assert (torch.from_numpy(found) - wanted).abs().max() < 1e-12, cell.name
""")


@pytest.mark.parametrize("cell", ["mgu", "mingru"])
def test_torch_compile(cell: str) -> None:
    run_without(f"""
from ricorso.layers import Recurrent
layer = Recurrent("{cell}", 5, 8)
x = torch.randn(4, 3, 5)
compiled = torch.compile(lambda x: layer(x)[0].tanh(), backend="aot_eager")
assert (compiled(x) - layer(x)[0].tanh()).abs().max() < 1e-6
""")


def test_training_and_writing(tmp_path) -> None:
    (tmp_path / "verse.txt").write_text("the sea is blue and the sky is wide\n" * 30)
    run_without(
        """
from ricorso.cli.main import run
tiny = "--hidden-size 8 --sequence-length 12 --batch-size 4 --samples 0 --epochs 2 --threads 1 --cell gru".split()
assert run(["train", "generate", "verse.txt", *tiny, "--out", "run"]) == 0
assert run(["generate", "run", "--length", "20"]) == 0
assert run(["cells", "gru"]) == 0
""",
        tmp_path,
    )


def test_a_cell_can_be_checked() -> None:
    run_without("""
from ricorso.cells import get_cell
from ricorso.check import check_cell
report = check_cell(get_cell("gru_reset_before"), hidden_size=8, steps=50)
assert report.ok, report
""")
