"""The example on tagging finds names, and marks them on a page."""

from pathlib import Path

from example import run


def test_names_are_found_and_marked(tmp_path: Path) -> None:
    page = tmp_path / "tagged.html"
    output = run("tag_a_text", "--epochs", "8", "--hidden", "8", "--out", str(page), folder=tmp_path)
    assert "tags mark spans (IOB2)" in output
    share = float(output.split("right tags: ")[1].split("%")[0])
    assert share > 85
    assert "Marta" in output
    assert "Marta" in page.read_text(encoding="utf-8")


def test_a_file_of_ones_own(tmp_path: Path) -> None:
    data = tmp_path / "own.conllu"
    line = "1\t{}\t_\t{}\t_\t_\t_\t_\t_\t_\n"
    sentence = line.format("dogs", "NOUN") + line.format("bark", "VERB") + "\n"
    data.write_text(sentence * 20, encoding="utf-8")
    arguments = ("--data", str(data), "--epochs", "8", "--hidden", "8", "--out", str(tmp_path / "page.html"))
    output = run("tag_a_text", *arguments, folder=tmp_path)
    assert "tags mark no spans" in output
    assert "dogs/NOUN  bark/VERB" in output
