"""Learn from which language a name comes, letter by letter, and watch the guess change while a name is spelt.

Name a folder that holds a file LANGUAGE.txt with a name on each line for every language, or none: then names are made
up from syllables and endings of five languages.
"""

import argparse
import random
import tempfile
from pathlib import Path

from rich.console import Console

from ricorso.insight.classification import verdict
from ricorso.tasks.classify.task import Classifier

# how made-up names begin, go on and end
SYLLABLES = {
    "Dutch": ("van der |de |", "Boer Kuip Haag Meer Vliet Dijk Hoek Wijn", "stra|sma|man|ens|"),
    "Italian": ("", "Ros Bian Fer Gal Mar Con Lom Ric Mor", "ini|etti|ucci|ello|one"),
    "Japanese": ("", "Taka Yama Ishi Naka Mura Kawa Hashi Shima", "moto|mura|saki|da|guchi"),
    "Polish": ("", "Kowal Nowa Wisn Dabr Zielin Szym Wozn", "ski|czyk|owski|iak|ewicz"),
    "Russian": ("", "Ivan Petr Smirn Volk Sokol Leb Kuznetz", "ov|enko|evsky|in|ukhin"),
}
console = Console(highlight=False, soft_wrap=True)


def make_names(folder: Path, draw: random.Random, count: int = 150) -> None:
    """Write files of made-up names."""
    for language, (begins, middles, ends) in SYLLABLES.items():
        parts = (begins.split("|"), middles.split(), ends.split("|"))
        names = ["".join(draw.choice(part) for part in parts) for _ in range(count)]
        (folder / f"{language}.txt").write_text("\n".join(names) + "\n", encoding="utf-8")


def train(folder: Path, hidden: int, epochs: int, threads: int | None) -> Classifier:
    """A classifier that reads forwards only, so that it has a guess after each letter."""
    options = {"hidden_size": hidden, "epochs": epochs, "bidirectional": False, "threads": threads}
    return Classifier(**options, level="character").fit(folder)


def spell(classifier: Classifier, name: str) -> None:
    """Print the likeliest language after each letter of a name."""
    stream, told = classifier.stream(), []
    for letter in name:
        chances = stream.step(letter)
        best = int(chances.argmax())
        told.append(f"{letter} {classifier.coding_.labels[best]} {chances[best]:.0%}")
    console.print(f"{name}: {', '.join(told)}", markup=False)


def main() -> None:
    """Train, measure and spell."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="files LANGUAGE.txt; left out, made-up names")
    parser.add_argument("--hidden", type=int, default=64, help="units [default: 64]")
    parser.add_argument("--epochs", type=int, default=8, help="times through the names [default: 8]")
    parser.add_argument("--spell", nargs="*", default=["Morucci", "Yamasaki"], metavar="NAME", help="names to spell")
    parser.add_argument("--threads", type=int, default=None)
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = chosen.folder or Path(made)
        if chosen.folder is None:
            make_names(folder, random.Random(0))
        classifier = train(folder, chosen.hidden, chosen.epochs, chosen.threads)
    if classifier.validation_:
        console.print(f"Of names kept for validation: {verdict(classifier.validation_)}")
        ranked = sorted(classifier.validation_["labels"].items(), key=lambda label: -label[1]["f1"])
        console.print("F1: " + ", ".join(f"{language} {own['f1']:.2f}" for language, own in ranked))
    for name in chosen.spell:
        spell(classifier, name)


if __name__ == "__main__":
    main()
