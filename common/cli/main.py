"""The `petct` command.

Exit codes: 0 done; 2 the input is wrong; 3 the model is wrong; 4 the machine could not; 130 interrupted;
1 is a bug.
A failure is one line on stderr; only a bug shows a traceback. The log is on stdout, its warnings on stderr.
"""

import argparse
import os
import re
import sys
import time
from collections.abc import Sequence
from typing import NoReturn

from common.cli.commands import parser_of
from common.cli.log import log_to_standard_streams
from common.errors import MachineError, PetctError
from common.inference.engines.worker import is_stuck
from common.memory import MIB, available_memory
from common.signals import end_at_sigterm

MIN_MEMORY = 256 * MIB
"""What the imports take; with less, those of NumPy's and SciPy's libraries do not always return."""
INTERRUPTED = 130
"""Exit code, as shells have it: 128 and the signal's number."""
NOT_IN_IMAGES = re.compile(
    r"common\.(cohort|demo|evaluation|export|report|viewer)|containers\.\w+\.(export|demo)"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    start = time.monotonic()
    try:
        _require_memory_to_start()
        _main(sys.argv[1:] if arguments is None else arguments, start)
    except PetctError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        return _fail(_missing(error))
    except MemoryError as error:
        return _fail(MachineError(f"memory ran out ({error}); use a machine with more"))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return 0


def _main(arguments: Sequence[str], start: float) -> None:
    chosen = next((argument for argument in arguments if not argument.startswith("-")), None)
    root = parser_of({chosen})  # the others' modules need not be there
    parsed = root.parse_args(arguments, argparse.Namespace(start=start))
    log_to_standard_streams()
    parsed.execute(parsed)


def _require_memory_to_start() -> None:
    left = available_memory()
    if left < MIN_MEMORY:
        raise MachineError(
            f"petct needs {MIN_MEMORY // MIB} MiB of memory to start, {left // MIB} MiB are free; use a "
            "machine with more, or a container with a higher limit"
        )


def _missing(error: ModuleNotFoundError) -> MachineError:
    """The failure for a module that this installation leaves out; any other is a bug and raised again."""
    name = error.name or ""
    if NOT_IN_IMAGES.fullmatch(name):
        return MachineError(f"{name} is not in an algorithm's image; use petct in a checkout")
    if name.partition(".")[0] in ("common", "containers"):
        raise error
    return MachineError(
        f"{name} is not installed; pip install '.[openvino,evaluate,export,serve,report,dicom,cohort]' "
        "in a checkout of petct"
    )


def _fail(error: PetctError) -> int:
    # The platform shows its user the last line of stderr.
    sys.stderr.write(f"error: {error}\n")
    return error.exit_code


def start() -> NoReturn:
    """The command as a process of its own, from its first line to its exit code."""
    if sys.argv[1:2] == ["run"]:
        end_at_sigterm()
    code = main()
    if is_stuck():  # an engine that does not answer would hold the process at its end, too
        sys.stdout.flush()
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    start()
