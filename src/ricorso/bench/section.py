"""What can be asked, and how it is put in words; knows no torch, so that `--help` is quick."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A kind of question.

    title: what is measured. subject: what a sentence is about, `{cell}` being filled in. peers: what each is called
    here, `{kind}` being the name of torch.nn's class.
    """

    title: str
    subject: str
    peers: Mapping[str, str]

    def peer(self, key: str, cell: str = "") -> str:
        """What a peer is called beside a cell; `lstm` makes `torch.nn.LSTM`."""
        return self.peers[key].format(kind=cell.upper())


LOOP = {"loop": "a torch loop"}
SECTIONS: dict[str, Section] = {
    "training": Section(
        "Training step: forward and backward over {steps} steps",
        "A training step of {cell}",
        {"torch": "torch.nn", **LOOP},
    ),
    "ragged": Section(
        "Training step on sequences of different lengths, {quarter} to {steps} steps",
        "A training step of {cell} on sequences of different lengths",
        {"torch": "torch.nn with packed sequences"},
    ),
    "inference": Section(
        "Inference: whole batches of {steps} steps, no gradients",
        "Inference with {cell}",
        {"torch": "torch.nn", "onnxruntime": "ONNX Runtime", **LOOP},
    ),
    "step": Section(
        "One step of one stream",
        "One step of a stream through {cell}",
        {"torch": "torch.nn.{kind}Cell", "onnxruntime": "ONNX Runtime"},
    ),
}
