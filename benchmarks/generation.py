"""How many characters a second does one stream of generated text reach? H = 256, one layer, temperature sampling.

The peer is the loop of the tutorials: torch.nn called with one one-hot step, softmax, multinomial.
"""

import string

import numpy as np
import torch
from measurement import alternate, save

from ricorso.cells import get_cell
from ricorso.data.vocabulary import CharacterVocabulary
from ricorso.decoding.sample import Sampler
from ricorso.tasks.generate.config import GenerateConfig
from ricorso.tasks.generate.model import TextModel, Writer, write

HIDDEN = 256
CONFIG = GenerateConfig.of({"hidden_size": HIDDEN, "dropout": 0.0}).resolved()
PEERS = {"lstm": torch.nn.LSTM, "gru": torch.nn.GRU, "elman_tanh": torch.nn.RNN}
OURS_LENGTH, PEER_LENGTH = 4000, 200


def peer_text(layer, head, length):
    symbols = head.out_features
    states, symbol, text = None, 10, []
    with torch.no_grad():
        for _ in range(length):
            x = torch.nn.functional.one_hot(torch.tensor([[symbol]]), symbols).float()
            output, states = layer(x, states)
            symbol = int(torch.multinomial(torch.softmax(head(output[0, 0]) / 0.8, 0), 1))
            text.append(symbol)
    return text


def main():
    rows = []
    vocabulary = CharacterVocabulary(string.printable[:65])
    for kind, make_peer in PEERS.items():
        torch.manual_seed(0)
        model = TextModel(get_cell(kind), len(vocabulary), CONFIG).eval()
        peer = make_peer(len(vocabulary), HIDDEN)
        peer.load_state_dict(model.recurrent.state_dict())
        ids = torch.randint(0, len(vocabulary), (50,))
        writer = Writer(model)
        found = np.stack([writer.step(int(symbol)).copy() for symbol in ids])
        with torch.no_grad():
            wanted = model.head(peer(torch.nn.functional.one_hot(ids, len(vocabulary)).float())[0]).numpy()
        difference = float(np.abs(found - wanted).max())
        assert difference < 1e-4, f"scores differ by {difference}"

        def ours(model=model):
            sampler = Sampler(temperature=0.8, seed=0)
            return "".join(write(model, vocabulary, np.array([10]), OURS_LENGTH, sampler))

        times = alternate(
            {"ricorso": ours, "torch": lambda peer=peer, model=model: peer_text(peer, model.head, PEER_LENGTH)}, 5.0
        )
        speed = {"ricorso": OURS_LENGTH / times["ricorso"].median, "torch": PEER_LENGTH / times["torch"].median}
        ratio = speed["ricorso"] / speed["torch"]
        print(f"{kind:11} ricorso {speed['ricorso']:8,.0f}   torch {speed['torch']:8,.0f} characters/s   x{ratio:.1f}")
        rows.append(
            {
                "kind": kind,
                "ratio": ratio,
                "characters_per_second": speed,
                "largest_score_difference": difference,
                **{name: timing.as_json() for name, timing in times.items()},
            }
        )
    save("generation", {"hidden": HIDDEN, "rows": rows})


if __name__ == "__main__":
    main()
