import gzip
from pathlib import Path

import pytest

from ricorso.data.conll import Tagged, read_numbered, read_tagged, read_tokens
from ricorso.errors import DataError, UsageError

CONLLU = """# sent_id = 1
# text = Don't go.
1-2\tDon't\t_\t_\t_\t_\t_\t_\t_\t_
1\tDo\tdo\tAUX\tVB\t_\t3\taux\t_\t_
2\tn't\tnot\tPART\tRB\t_\t3\tadvmod\t_\t_
3\tgo\tgo\tVERB\tVB\t_\t0\troot\t_\tSpaceAfter=No
3.1\tthere\tthere\tADV\tRB\t_\t_\t_\t_\t_
4\t.\t.\tPUNCT\t.\t_\t3\tpunct\t_\t_

1\tYes\tyes\tINTJ\tUH\t_\t0\troot\t_\t_
"""
COLUMNS = """-DOCSTART- -X- O O

EU NNP I-NP I-ORG
# NN I-NP O
rejects VBZ I-VP O

Peter NNP I-NP I-PER
-DOCSTART- -X- O O
Paul NNP I-NP I-PER
"""


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def test_conllu_without_multiword_tokens_and_empty_nodes(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conllu", CONLLU)
    assert read_tagged(path) == [
        Tagged(("Do", "n't", "go", "."), ("AUX", "PART", "VERB", "PUNCT")),
        Tagged(("Yes",), ("INTJ",)),
    ]
    assert read_tagged(path, tag_column="xpos")[1].tags == ("UH",)
    assert read_tagged(path, "lemma", "4")[0].tokens == ("do", "not", "go", ".")
    assert read_tokens(path)[0] == ("Do", "n't", "go", ".")


def test_conllu_is_known_by_its_lines_too(tmp_path: Path) -> None:
    assert read_tagged(written(tmp_path, "a.txt2", CONLLU)) == read_tagged(written(tmp_path, "a.conllu", CONLLU))


def test_columns_with_documents_and_a_number_sign_as_a_word(tmp_path: Path) -> None:
    path = written(tmp_path, "eng.train", COLUMNS)
    assert read_tagged(path) == [
        Tagged(("EU", "#", "rejects"), ("I-ORG", "O", "O")),
        Tagged(("Peter",), ("I-PER",)),
        Tagged(("Paul",), ("I-PER",)),
    ]
    assert read_tagged(path, tag_column="2")[0].tags == ("NNP", "NN", "VBZ")
    assert read_tagged(path, tag_column="-2")[0].tags == ("I-NP", "I-NP", "I-VP")


def test_columns_between_tabs_may_hold_blanks_and_comments_are_skipped(tmp_path: Path) -> None:
    path = written(tmp_path, "a.tsv", "# a comment\r\nNew York\tLOC\r\nis\tO\r\n")
    assert read_tagged(path) == [Tagged(("New York", "is"), ("LOC", "O"))]


def test_json_lines_and_gzip(tmp_path: Path) -> None:
    line = '{"tokens": ["a", "b"], "tags": ["X", "Y"], "id": 7}\n\n'
    path = tmp_path / "a.jsonl.gz"
    path.write_bytes(gzip.compress(line.encode()))
    assert read_tagged(path) == [Tagged(("a", "b"), ("X", "Y"))]
    assert read_tokens(path) == [("a", "b")]
    other = written(tmp_path, "b.jsonl", '{"words": ["a"], "pos": ["X"]}')
    assert read_tagged(other, "words", "pos") == [Tagged(("a",), ("X",))]


def test_text_without_tags_is_split_line_by_line(tmp_path: Path) -> None:
    assert read_tokens(written(tmp_path, "a.txt", "Peter sleeps.\n\nI'm here\n")) == [
        ("Peter", "sleeps", "."),
        ("I'm", "here"),
    ]
    assert read_tokens(written(tmp_path, "b.words", "Peter\nsleeps\n\nPaul\n")) == [("Peter", "sleeps"), ("Paul",)]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.conllu", CONLLU.replace("2\tn't\tnot\tPART\tRB", "2\tn't\tnot"), "line 5: there are 8 columns"),
        ("a.conllu", CONLLU.replace("3\tgo", "x\tgo"), "line 6: 'x' is no number of a word"),
        ("a.conllu", "# nothing\n\n", "holds no sentences"),
        ("a.txt", "EU I-ORG\nrejects O\nGerman\n", r"line 3: there is 1 column \('German'\); the lines before have 2"),
        ("a.txt", "\nEU\nrejects\n", r"line 2: there is one column only \('EU'\)"),
        ("a.tsv", "EU\tO\nhere\t\n", "line 2: the tag is empty"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["X"]}\n{"tokens": ["a"]', "line 2, column .*: not JSON"),
        ("a.jsonl", '{"tokens": ["a"]}', 'line 1: an object with "tokens" and "tags" was expected, got'),
        ("a.jsonl", '{"tokens": ["a", "b"], "tags": ["X"]}', "line 1: there are 2 words and 1 tags"),
        ("a.jsonl", '{"tokens": ["a", 3], "tags": ["X", "Y"]}', '"tokens" should be a list of texts'),
        ("a.txt", "EU O\nr\0s O\n", "looks like a binary file .a zero byte in line 2, column 2."),
        (
            "a.jsonl",
            '{"tokens": ["a\\u0000b"], "tags": ["X"]}',
            'line 1, "tokens", text 1: a zero byte stands at character 2',
        ),
        (
            "a.jsonl",
            '{"tokens": ["a"], "tags": ["X\\ud800"]}',
            'line 1, "tags", text 1: character 2 is half a character',
        ),
        ("a.jsonl", '{"tokens": ' + "[" * 100_000, "line 1: not JSON that can be read: it is nested too deeply"),
        ("a.jsonl", '{"tokens": ["a"], "tags": ["X"], "id": ' + "1" * 5000 + "}", "line 1: not JSON that can be read"),
        ("a.csv", "word,tag\nEU,O\n", "is a table; .*name its column of tags with column= .--column."),
    ],
)
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, name: str, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_tagged(written(tmp_path, name, text))


def test_wrong_encoding_is_told_with_line_and_column(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes("EU O\nZürich I-LOC\n".encode("latin-1"))
    with pytest.raises(DataError, match="line 2, column 2: byte 0xfc is not valid utf-8"):
        read_tagged(path)
    assert read_tagged(path, encoding="latin-1")[0].tokens == ("EU", "Zürich")


def test_unknown_columns(tmp_path: Path) -> None:
    path = written(tmp_path, "a.conllu", CONLLU)
    with pytest.raises(UsageError, match="Did you mean 'upos'"):
        read_tagged(path, tag_column="ups")
    with pytest.raises(DataError, match="line 4: there are 10 columns; the tag was expected in column 11"):
        read_tagged(path, tag_column="11")
    with pytest.raises(UsageError, match="wanted a number from 1"):
        read_tagged(written(tmp_path, "b.txt", "EU O\n"), tag_column="upos")


def test_a_long_line_takes_linear_time(tmp_path: Path) -> None:
    word = "x" * 1_000_000
    assert read_tagged(written(tmp_path, "a.txt", f"{word} O\n"))[0].tokens == (word,)


@pytest.mark.parametrize(
    ("name", "text"), [("a.txt", "\n \n"), ("a.conll", "-DOCSTART- -X- O\n\n"), ("a.words", "# none\n")]
)
def test_a_file_without_sentences_is_told(tmp_path: Path, name: str, text: str) -> None:
    with pytest.raises(DataError, match=f"{name} holds no sentences; words were expected"):
        read_tokens(written(tmp_path, name, text))


def test_sentences_have_the_line_in_which_they_begin(tmp_path: Path) -> None:
    assert [line for line, _ in read_numbered(written(tmp_path, "eng.train", COLUMNS))] == [3, 7, 9]
    assert [line for line, _ in read_numbered(written(tmp_path, "a.conllu", CONLLU))] == [4, 10]
