import pytest

from common.sizes import at_least, at_most

GIB = 2**30


def test_what_is_needed_is_rounded_up_and_what_there_is_down():
    assert at_least(GIB + 1, GIB) == "1.01"
    assert at_most(2 * GIB - 1, GIB) == "1.99"


def test_whole_hundredths_stay():
    assert at_least(5 * GIB // 4, GIB) == at_most(5 * GIB // 4, GIB) == "1.25"


@pytest.mark.parametrize("free", [0, 1, GIB - 1, GIB, GIB + 1, 2 * GIB - 3, 10**13])
def test_one_byte_too_few_is_seen(free):
    assert float(at_least(free + 1, GIB)) > float(at_most(free, GIB))


def test_nothing_is_below_zero():
    assert at_least(-5, GIB) == at_most(-5, GIB) == "0.00"
