from tests.fuzz.record import read_record
from tests.fuzz.report import FILES, PAGE, page
from tests.fuzz.test_readers import NAMES


def test_the_page_is_what_the_record_says() -> None:
    assert PAGE.read_text() == page(read_record()), "run: python -m tests.fuzz.report"


def test_every_reader_was_tried_in_both_ways_and_nothing_was_lost() -> None:
    record = read_record()
    assert {(run.reader, run.way) for run in record.runs} == {
        (name, way) for name in NAMES for way in ("drawn", "coverage")
    }
    assert all(run.inputs == run.read + run.refused for run in record.runs)
    assert not any(run.failures for run in record.runs)
    assert {kills.command for kills in record.kills} >= {"petct run"}
    assert not any(kills.failures for kills in record.kills)
    assert set(NAMES) == set(FILES)
