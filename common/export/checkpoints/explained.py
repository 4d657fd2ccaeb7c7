"""One line for what does not fit in the documents that nnU-Net leaves."""

from collections.abc import Iterator
from contextlib import contextmanager

from pydantic import ValidationError

from common.documents import DocumentError, explain
from common.errors import ModelError


class UnsupportedError(Exception):
    """A document that is well-formed but asks for what this package does not do."""


@contextmanager
def explained(place: str, expected: str) -> Iterator[None]:
    """Make a `ModelError` of what does not fit: the `place`, what was found, and what was `expected`."""
    try:
        yield
    except UnsupportedError as error:
        raise ModelError(f"{place}: {error}") from error
    except (DocumentError, ValidationError) as error:
        problem = explain(error) if isinstance(error, ValidationError) else error
        raise ModelError(f"{place}: missing or malformed entry: {problem}; expected {expected}") from error
