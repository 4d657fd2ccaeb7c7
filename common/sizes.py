"""Sizes for error messages, rounded so that a required size never looks equal to a smaller available one."""


def at_least(size: int, unit: int) -> str:
    """Format a required size in units of `unit` bytes: two decimals, rounded up, at least 0."""
    return _decimals(-(-100 * max(size, 0) // unit))


def at_most(size: int, unit: int) -> str:
    """Format an available size in units of `unit` bytes: two decimals, rounded down, at least 0."""
    return _decimals(100 * max(size, 0) // unit)


def _decimals(hundredths: int) -> str:
    return f"{hundredths // 100}.{hundredths % 100:02}"
