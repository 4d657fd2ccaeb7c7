"""Where log lines go: news to stdout, warnings and errors to stderr.

The platform marks a run "with warnings" for anything on stderr.
"""

import io
import logging
import sys

from common.errors import one_line


class OneLine(logging.Formatter):
    """A record is one line, whatever file names are in it; a traceback may follow."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: D102, N802
        return one_line(super().formatMessage(record))


FORMAT = OneLine("%(asctime)s %(levelname)s %(message)s", datefmt="%H:%M:%S")


def log_to_standard_streams() -> None:
    """Send what is below a warning to stdout and the rest to stderr, each line at once.

    Earlier handlers are replaced. A file name that the streams' encoding cannot show is escaped.
    """
    news, warnings = logging.StreamHandler(sys.stdout), logging.StreamHandler(sys.stderr)
    news.addFilter(_is_news)
    warnings.setLevel(logging.WARNING)
    for handler in (news, warnings):
        handler.setFormatter(FORMAT)
        if isinstance(handler.stream, io.TextIOWrapper):
            handler.stream.reconfigure(errors="backslashreplace")
    logging.basicConfig(level=logging.INFO, handlers=[news, warnings], force=True)


def _is_news(record: logging.LogRecord) -> bool:
    return record.levelno < logging.WARNING
