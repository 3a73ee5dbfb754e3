"""How many characters a second does training a one-hot character LSTM reach? H = 256, T = 25, batch 128, Adam.

The peer is torch.nn.LSTM on one-hot vectors, as the tutorials write it; ours takes the ids.
"""

import torch
from measurement import alternate, save

from ricorso.layers import GRU, LSTM, RNN

SYMBOLS, HIDDEN, STEPS, BATCH = 65, 256, 25, 128
PAIRS = {"lstm": (LSTM, torch.nn.LSTM), "gru": (GRU, torch.nn.GRU), "rnn": (RNN, torch.nn.RNN)}


class Trainer:
    def __init__(self, layer, one_hot, state):
        self.layer, self.one_hot = layer, one_hot
        self.head = torch.nn.Linear(HIDDEN, SYMBOLS)
        self.head.load_state_dict(state)
        self.parameters = [*layer.parameters(), *self.head.parameters()]
        self.optimiser = torch.optim.Adam(self.parameters, lr=1e-3, fused=True)
        generator = torch.Generator().manual_seed(0)
        self.ids = torch.randint(0, SYMBOLS, (STEPS + 1, BATCH), generator=generator)

    def step(self):
        x = self.ids[:-1]
        if self.one_hot:
            x = torch.nn.functional.one_hot(x, SYMBOLS).float()
        output, _ = self.layer(x)
        loss = torch.nn.functional.cross_entropy(self.head(output).flatten(0, 1), self.ids[1:].flatten())
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss)


def main():
    rows = []
    for kind, (make, make_peer) in PAIRS.items():
        torch.manual_seed(0)
        state = torch.nn.Linear(HIDDEN, SYMBOLS).state_dict()
        ours, peer = make(SYMBOLS, HIDDEN), make_peer(SYMBOLS, HIDDEN)
        peer.load_state_dict(ours.state_dict())
        sides = {"ricorso": Trainer(ours, False, state), "torch": Trainer(peer, True, state)}
        losses = {name: [side.step() for _ in range(10)] for name, side in sides.items()}
        difference = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
        assert difference < 1e-3, f"losses differ by {difference}"
        times = alternate({name: side.step for name, side in sides.items()}, seconds=6.0)
        speed = {name: STEPS * BATCH / timing.median for name, timing in times.items()}
        ratio = speed["ricorso"] / speed["torch"]
        print(f"{kind:5} ricorso {speed['ricorso']:9,.0f}   torch {speed['torch']:9,.0f} characters/s   x{ratio:.2f}")
        rows.append(
            {
                "kind": kind,
                "ratio": ratio,
                "characters_per_second": speed,
                "largest_loss_difference": difference,
                **{name: timing.as_json() for name, timing in times.items()},
            }
        )
    save("character_model", {"rows": rows})


if __name__ == "__main__":
    main()
