"""The `petct` command.

Exit codes: 0 done; 2 the input is wrong; 3 the model is wrong; 4 the machine could not; 130 interrupted;
1 is a bug.
A failure is one line on stderr; only a bug shows a traceback. The log is on stdout, its warnings on stderr.
"""

import argparse
import logging
import sys
import time
from collections.abc import Callable, Collection, Sequence
from inspect import signature
from math import inf, prod
from pathlib import Path
from typing import Any

from common import algorithms
from common.errors import InputError, MachineError, PetctError
from common.cli.log import log_to_standard_streams
from common.memory import available_memory, peak_memory, require_memory
from common.model.settings import (
    BY_NAME,
    Setting,
    Values,
    choose,
    describe,
    model_settings,
    require_folds,
    resolve,
    shown,
)

logger = logging.getLogger("petct")

MIB = 2**20
START = 256 * MIB
"""Bytes that the imports take; with fewer, those of NumPy's and SciPy's libraries do not always return."""
INTERRUPTED = 130
"""Exit code, as shells have it: 128 and the signal's number."""
PHANTOM_BYTES = 20
"""Bytes that a phantom takes for each voxel: both images, noise, and copies to write."""

Command = Callable[[argparse.Namespace], None]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    start = time.monotonic()
    try:
        _require_memory_to_start()
        _main(arguments, start)
    except PetctError as error:
        return _fail(error)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in ("common", "containers"):
            raise
        remedy = "pip install '.[openvino,evaluate,export]' in a checkout of petct"
        return _fail(MachineError(f"{error.name} is not installed; {remedy}"))
    except MemoryError as error:
        return _fail(MachineError(f"memory ran out ({error}); use a machine with more"))
    except KeyboardInterrupt:
        sys.stderr.write("interrupted\n")
        return INTERRUPTED
    return 0


def _main(arguments: Sequence[str] | None, start: float) -> None:
    parsed = parser().parse_args(arguments, argparse.Namespace(start=start))
    log_to_standard_streams()
    command: Command = parsed.command
    command(parsed)


def _require_memory_to_start() -> None:
    left = available_memory()
    if left < START:
        raise MachineError(
            f"petct needs {START // MIB} MiB of memory to start, {left // MIB} MiB are free; use a machine "
            "with more, or a container with a higher limit"
        )


def parser() -> argparse.ArgumentParser:
    """The command line."""
    from common.demo.phantom.phantom import DEFAULT_SHAPE, DEFAULT_SPACING

    root = argparse.ArgumentParser(prog="petct", description="PET/CT segmentation for Grand Challenge.")
    commands = root.add_subparsers(title="commands", required=True, metavar="COMMAND")

    run = _command(commands, "run", _run, "segment one case as the platform lays it out")
    _algorithm(run)
    _folders(run, input=Path("/input"), output=Path("/output"), model=Path("/opt/ml/model"))
    _settings(run)

    export = _command(commands, "export", _export, "make a model folder from a training checkpoint")
    _algorithm(export)
    export.add_argument("--checkpoint", type=Path, required=True, help="folder as training left it")
    export.add_argument("--model", type=Path, required=True, help="model folder to write")
    export.add_argument(
        "--plans", type=Path, metavar="FILE", help="plans as JSON, instead of the folder's (gepnet only)"
    )
    _settings(export, folds="folds to export (default: all found)")

    settings = _command(commands, "settings", _change_settings, "show or change a model folder's settings")
    settings.add_argument("model", type=Path, metavar="MODEL", help="model folder")
    settings.add_argument("--clear", action="store_true", help="forget the present settings first")
    _settings(settings)

    engines = _command(commands, "engines", _engines, "show what this machine computes with")
    engines.add_argument("--model", type=Path, metavar="DIR", help="try the networks of this model folder")
    _settings(engines, only=("engine", "precision"))

    check = _command(commands, "check", _check, "check an output folder as the platform does")
    _algorithm(check)
    _folders(check, input=Path("/input"), output=Path("/output"))

    evaluate = _command(commands, "evaluate", _evaluate, "compare masks with truths")
    evaluate.add_argument("--truth", type=Path, required=True, help="folder of true masks")
    evaluate.add_argument("--prediction", type=Path, required=True, help="folder of masks of the same names")
    evaluate.add_argument("--json", type=Path, metavar="FILE", help="write the numbers there, too")

    phantom = _command(commands, "phantom", _phantom, "make a synthetic PET/CT case")
    phantom.add_argument("--output", type=Path, required=True, help="folder for input/ and truth/")
    phantom.add_argument("--seed", type=_number(int, 0), default=0, help="(default: %(default)s)")
    _vector(phantom, "--shape", _number(int, 1), DEFAULT_SHAPE, "voxels")
    _vector(phantom, "--spacing", _number(float, 0.1, 100), DEFAULT_SPACING, "voxel edges, in mm")
    return root


def _command(commands: Any, name: str, command: Command, text: str) -> argparse.ArgumentParser:
    added: argparse.ArgumentParser = commands.add_parser(name, help=text, description=text.capitalize() + ".")
    added.set_defaults(command=command)
    return added


def _algorithm(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("algorithm", choices=algorithms.names(), metavar="ALGORITHM", help="%(choices)s")


def _settings(
    parser: argparse.ArgumentParser, only: Collection[str] = tuple(BY_NAME), **other_help: str
) -> None:
    """Settings as arguments; one that is not given is not there after parsing."""
    group = parser.add_argument_group(
        "settings", "They win over PETCT_* variables, which win over the model."
    )
    for name in only:
        setting = BY_NAME[name]
        usual = f"{setting.help} (default: {setting.usual})"
        group.add_argument(
            setting.option,
            type=_parse(setting),
            default=argparse.SUPPRESS,
            metavar=setting.metavar,
            help=other_help.get(name, usual),
        )


def _parse(setting: Setting) -> Callable[[str], Any]:
    def parse(text: str) -> Any:
        try:
            return setting.parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from error

    return parse


def _given(arguments: argparse.Namespace) -> Values:
    """The settings among parsed arguments."""
    return {name: value for name, value in vars(arguments).items() if name in BY_NAME}


def _folders(parser: argparse.ArgumentParser, **defaults: Path) -> None:
    for name, default in defaults.items():
        parser.add_argument(
            f"--{name}", type=Path, default=default, metavar="DIR", help="(default: %(default)s)"
        )


def _vector(
    parser: argparse.ArgumentParser,
    name: str,
    kind: Callable[[str], float],
    default: Sequence[float],
    text: str,
) -> None:
    axes, shown = ("Z", "Y", "X"), " ".join(map(str, default))
    parser.add_argument(
        name, type=kind, nargs=3, default=default, metavar=axes, help=f"{text} (default: {shown})"
    )


def _number(kind: Callable[[str], float], least: float, most: float = inf) -> Callable[[str], float]:
    def number(text: str) -> float:
        value = kind(text)
        if not least <= value <= most or value == inf:
            raise argparse.ArgumentTypeError(f"found {text}, expected a number from {least:g} to {most:g}")
        return value

    number.__name__ = "number"  # argparse shows it
    return number


def _fail(error: PetctError) -> int:
    # The platform shows its user the last line of stderr.
    sys.stderr.write(f"error: {error}\n")
    return error.exit_code


def _run(arguments: argparse.Namespace) -> None:
    from common.cli.run import run

    folders = (arguments.input, arguments.output, arguments.model)
    path = run(arguments.algorithm, *folders, _given(arguments), arguments.start)
    seconds = time.monotonic() - arguments.start
    logger.info("done: %.1f s, peak memory %d MiB, %s", seconds, peak_memory() // MIB, path)


def _export(arguments: argparse.Namespace) -> None:
    from common.model.folder import write_run

    given = _given(arguments)
    _require_possible(given)
    network = algorithms.module(arguments.algorithm, "export")
    plans = {} if arguments.plans is None else {"plans": arguments.plans}
    if plans and "plans" not in signature(network.export).parameters:
        raise InputError(
            f"--plans: {arguments.algorithm} reads its plans in the checkpoint's folder; leave --plans out"
        )
    network.export(arguments.checkpoint, arguments.model, given.get("folds"), **plans)
    write_run(arguments.model, given)
    seconds = time.monotonic() - arguments.start
    logger.info("exported: %.1f s, peak memory %d MiB, %s", seconds, peak_memory() // MIB, arguments.model)


def _change_settings(arguments: argparse.Namespace) -> None:
    from common.model.folder import algorithm_of, read_model, write_run

    folder: Path = arguments.model
    model = read_model(folder, algorithm_of(folder))
    present = {} if arguments.clear else model_settings(model.run, str(folder / "model.json"))
    given = _given(arguments)
    require_folds(given, model.fold_names, InputError)
    values = present | given
    _require_possible(values)
    if values != model.run:
        write_run(folder, values)
    for name, setting in BY_NAME.items():
        value = shown(name, values[name]) if name in values else "not set"
        sys.stdout.write(f"{setting.option.removeprefix('--'):12}{value}\n")


def _engines(arguments: argparse.Namespace) -> None:
    from common.inference.engines.report import describe_machine, describe_rungs, describe_trial
    from common.model.folder import algorithm_of, read_model

    folder: Path | None = arguments.model
    model = read_model(folder, algorithm_of(folder)) if folder else None
    values, origins = choose(_given(arguments), model.run if model else {})
    choice = values["engine"], values["precision"]
    lines = (*describe_machine(), describe(values, origins), *describe_rungs(*choice))
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    for network in model.networks if model else ():
        sys.stdout.write(f"{describe_trial(network.folds[0].path, *choice)}\n")


def _require_possible(values: Values) -> None:
    """Raise `MachineError` where the settings choose an engine that never has the precision."""
    from common.inference.engines.ladder import rungs

    chosen, _ = resolve({"argument": values})
    rungs(chosen["engine"], chosen["precision"])


def _check(arguments: argparse.Namespace) -> None:
    from common.grandchallenge.check import check_output
    from common.grandchallenge.interface import Interface

    interface = Interface.load(algorithms.interface_path(arguments.algorithm))
    logger.info("the platform takes %s", check_output(arguments.input, arguments.output, interface))


def _evaluate(arguments: argparse.Namespace) -> None:
    from common.evaluation.evaluate import evaluate, table, write_json

    results = evaluate(arguments.truth, arguments.prediction)
    sys.stdout.write(table(results))
    if arguments.json:
        write_json(results, arguments.json)


def _phantom(arguments: argparse.Namespace) -> None:
    from common.demo.phantom.phantom import make_phantom
    from common.demo.phantom.writing import write_phantom

    folder: Path = arguments.output
    require_memory(PHANTOM_BYTES * prod(arguments.shape), "a phantom of this shape")
    phantom = make_phantom(arguments.seed, tuple(arguments.shape), tuple(arguments.spacing))
    write_phantom(phantom, folder / "input", folder / "truth" / f"phantom_{arguments.seed}.mha")


if __name__ == "__main__":
    sys.exit(main())
