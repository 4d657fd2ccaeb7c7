from common.grandchallenge.messages import MAX_EXCERPT, excerpt


def test_excerpt_is_on_one_line() -> None:
    assert excerpt("a\nb") == r"'a\nb'"


def test_excerpt_of_a_long_or_deep_value_is_short() -> None:
    deep: list[object] = []
    for _ in range(5000):
        deep = [deep, "leaf"]
    assert len(excerpt(deep)) <= MAX_EXCERPT + 1
    assert len(excerpt(list(range(10**5)))) <= MAX_EXCERPT + 1
    assert len(excerpt("x" * 10**5)) <= MAX_EXCERPT + 1
