"""Wording that the messages of this package share."""

import reprlib

MAX_EXCERPT = 60


def excerpt(value: object) -> str:
    """A value out of a file, for a message: on one line, and cut where it is long or deep."""
    text = reprlib.repr(value)
    return text if len(text) <= MAX_EXCERPT else f"{text[:MAX_EXCERPT]}…"
