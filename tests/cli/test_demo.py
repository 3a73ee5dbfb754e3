from ricorso.cli.demo import python_topics

MINUTES = ["--minutes", "0.02"]


def test_the_whole_circle_on_data_at_hand(ricorso, tmp_path):
    outcome = ricorso("demo", *MINUTES)
    assert outcome.status == 0
    assert "documentation topics" in outcome.err
    assert "What it writes now:" in outcome.out
    next_steps = outcome.out.split("Next:\n")[1].splitlines()
    assert len(next_steps) == 3
    assert all(line.startswith("  ricorso ") for line in next_steps)
    assert (tmp_path / "runs" / "demo" / "report.html").stat().st_size > 100_000


def test_a_text_of_the_users_own(ricorso, text_file):
    outcome = ricorso("demo", text_file, *MINUTES, "--out", "mine")
    assert outcome.status == 0
    assert "fox.txt" in outcome.err


def test_a_missing_text(ricorso):
    outcome = ricorso("demo", "nowhere.txt")
    assert outcome.status == 1
    assert "There is no file 'nowhere.txt'" in outcome.err


def test_paragraphs_of_the_topics_are_there_once():
    paragraphs = python_topics().strip("\n").split("\n\n")
    assert len(paragraphs) > 1000
    assert len(set(paragraphs)) == len(paragraphs)


def test_a_near_miss_of_a_task(ricorso):
    outcome = ricorso("demo", "forcast")
    assert outcome.status == 2
    assert "There is no file and no demo 'forcast'. Did you mean 'forecast'?" in outcome.err
