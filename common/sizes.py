"""Numbers of bytes in a message that refuses: never below zero, and never equal where one is too few."""


def at_least(size: int, unit: int) -> str:
    """What is needed, in `unit` bytes: two decimals, rounded up."""
    return _decimals(-(-100 * max(size, 0) // unit))


def at_most(size: int, unit: int) -> str:
    """What there is, in `unit` bytes: two decimals, rounded down."""
    return _decimals(100 * max(size, 0) // unit)


def _decimals(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02}"
