"""What test perplexity does `ricorso train generate --level word` reach in a given time? Penn Treebank, 10,000 words.

The files of Mikolov, a symbol at the end of each line counted; one pass over the test text with the state carried,
batch 1, weights as trained. Published: Zaremba's small LSTM 115, medium 82.7; AWD-LSTM 57.3. Options after -- go to
`ricorso train generate` as they are.
"""

import argparse
import json
import tempfile
from pathlib import Path

from measurement import save
from text_quality import ricorso

SETTING = [
    "--cell",
    "lstm",
    "--precision",
    "bfloat16",
    "--restart",
    "0.02",
    "--average",
    "0.998",
    "--validations",
    "20",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, help="the folder with ptb.train.txt.gz, ptb.valid.txt.gz and ptb.test.txt.gz"
    )
    parser.add_argument("--minutes", type=float, default=40.0)
    parser.add_argument("--name", default="word_quality", help="name of the result")
    parser.add_argument("options", nargs="*", help="more options of `ricorso train generate`, after --")
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the folder with --data FOLDER")
        return
    train, valid, test = (chosen.data.resolve() / f"ptb.{part}.txt.gz" for part in ("train", "valid", "test"))
    with tempfile.TemporaryDirectory() as folder:
        given = ["--level", "word", "--valid", valid, "--out", "run", "--samples", 0, "--minutes", chosen.minutes]
        ricorso(folder, "train", "generate", train, *given, *SETTING, *chosen.options)
        figures = json.loads(ricorso(folder, "evaluate", "run", test, "--stateful", "--json"))
        run = Path(folder) / "run"
        settings = json.loads((run / "config.json").read_text(encoding="utf-8"))["settings"]
        end = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()][-1]
    print(json.dumps(figures, indent=1))
    save(chosen.name, {"minutes": chosen.minutes, "figures": figures, "settings": settings, "end": end})


if __name__ == "__main__":
    main()
