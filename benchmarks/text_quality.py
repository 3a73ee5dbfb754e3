"""What validation loss does `ricorso train generate` reach in a given time? Tiny Shakespeare, characters.

The first 1,003,854 characters train, the rest validates: a fresh zero state for each window of 256 characters, the mean
over all targets. Published: nanoGPT 1.4697 on a GPU, about 1.88 after 3 minutes on a CPU; minGRU 1.548, minLSTM 1.555.
Options after -- go to `ricorso train generate` as they are.
"""

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from measurement import save

TRAINING = 1_003_854


def ricorso(folder, *arguments):
    command = [sys.executable, "-m", "ricorso", *map(str, arguments)]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, cwd=folder).stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="tiny Shakespeare, plain or .gz")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--name", default="text_quality", help="name of the result")
    parser.add_argument("options", nargs="*", help="more options of `ricorso train generate`, after --")
    chosen = parser.parse_args()
    if chosen.data is None or not chosen.data.exists():
        print("skipped: name the text with --data input.txt")
        return
    read = gzip.open if chosen.data.suffix == ".gz" else open
    with read(chosen.data, "rt", encoding="utf-8") as file:
        text = file.read()
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "train.txt").write_text(text[:TRAINING], encoding="utf-8")
        (Path(folder) / "valid.txt").write_text(text[TRAINING:], encoding="utf-8")
        run = Path(folder) / "run"
        given = ["--valid", "valid.txt", "--out", "run", "--minutes", chosen.minutes, *chosen.options]
        ricorso(folder, "train", "generate", "train.txt", *given)
        figures = json.loads(ricorso(folder, "evaluate", "run", "valid.txt", "--stateful", "--json"))
        config = json.loads((run / "config.json").read_text(encoding="utf-8"))
        for text_file in config["data"].values():
            if text_file:
                text_file["path"] = Path(text_file["path"]).name
        end = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()][-1]
        sample = ricorso(folder, "generate", "run", "--prompt", "ROMEO:", "--length", "400", "--seed", "0")
    print(json.dumps(figures, indent=1))
    save(chosen.name, {"minutes": chosen.minutes, "figures": figures, "config": config, "end": end, "sample": sample})


if __name__ == "__main__":
    main()
