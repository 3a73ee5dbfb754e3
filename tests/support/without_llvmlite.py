"""What is run where llvmlite cannot be imported; `test_without_kernels.py` starts this in a process of its own.

Every piece has a fork of that process to itself, for importing torch takes longer than most of them.
"""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from pathlib import Path

TINY = "--hidden-size 8 --sequence-length 12 --batch-size 4 --samples 0 --epochs 2 --threads 1 --cell gru"


def layers_and_streams_of_every_cell() -> None:
    import torch

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


def single_steps() -> None:
    import torch

    from ricorso import LSTMCell, RecurrentCell, accelerate

    layer, theirs = LSTMCell(3, 8), torch.nn.LSTMCell(3, 8)
    theirs.load_state_dict(layer.state_dict())
    x = torch.randn(2, 3)
    assert torch.equal(layer(x)[0], theirs(x)[0])
    assert layer.path.startswith("torch"), layer.path
    other = RecurrentCell("mgu", 3, 8)
    other(x).sum().backward()
    assert other.path.startswith("naive"), other.path
    model = torch.nn.Sequential(torch.nn.GRU(3, 8))
    assert accelerate(model, torch.randn(4, 2, 3), seconds=0).layers[0].replaced


def torch_compile() -> None:
    import torch

    from ricorso.layers import Recurrent

    for cell in ("mgu", "mingru"):
        layer, x = Recurrent(cell, 5, 8), torch.randn(4, 3, 5)
        compiled = torch.compile(lambda x, layer=layer: layer(x)[0].tanh(), backend="aot_eager")
        assert (compiled(x) - layer(x)[0].tanh()).abs().max() < 1e-6


def training_and_writing() -> None:
    from ricorso.cli.main import run

    Path("verse.txt").write_text("the sea is blue and the sky is wide\n" * 30, encoding="utf-8")
    assert run(["train", "generate", "verse.txt", *TINY.split(), "--out", "run"]) == 0
    assert run(["generate", "run", "--length", "20"]) == 0
    assert run(["cells", "gru"]) == 0


def checking_a_cell() -> None:
    from ricorso.cells import get_cell
    from ricorso.check import check_cell

    report = check_cell(get_cell("gru_reset_before"), hidden_size=8, steps=50)
    assert report.ok, report


PIECES: dict[str, Callable[[], None]] = {
    piece.__name__: piece
    for piece in (layers_and_streams_of_every_cell, single_steps, torch_compile, training_and_writing, checking_a_cell)
}


def be(piece: Callable[[], None], told: list[tuple[type[Warning], str]], folder: Path) -> None:
    """Run a piece to the end of this process, whose status is 0 when it went well and one warning was heard."""
    try:
        said = os.open(folder.with_suffix(".said"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for stream in (1, 2):
            os.dup2(said, stream)
        os.chdir(folder)
        piece()
        assert len(told) == 1, told
        assert told[0][0] is RuntimeWarning
        assert "llvmlite" in told[0][1]
        assert "10 to 100 times slower" in told[0][1]
    except BaseException:  # noqa: BLE001 - whatever it is, it is told
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def main(folder: Path) -> None:
    """Run every piece in a folder of its own below `folder`, each writing what it has to say into NAME.said there."""
    sys.modules["llvmlite"] = None  # importing it raises ImportError
    told: list[tuple[type[Warning], str]] = []
    warnings.simplefilter("always")
    warnings.showwarning = lambda message, category, *_: told.append((category, str(message)))
    import torch
    from processes import fork

    import ricorso.cli.main
    import ricorso.layers  # noqa: F401

    torch.set_num_threads(1)
    for name, piece in PIECES.items():
        own = folder / name
        own.mkdir()
        if fork() == 0:
            be(piece, told, own)
        _, status = os.wait()
        own.with_suffix(".status").write_text(str(os.waitstatus_to_exitcode(status)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
