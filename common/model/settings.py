"""The settings of a run: what can be chosen, where, and what wins.

Every setting has one name in four places: an argument of `petct run` (`--time-limit`), an environment
variable (`PETCT_TIME_LIMIT`), an entry of `model.json`'s section `run` (`time_limit`), and one of
`interface.json`'s.
The earlier place wins over the later. The platform passes neither arguments nor variables: there, what counts
is what travels with the model.
"""

import logging
import math
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from common.errors import InputError, ModelError, PetctError
from common.inference.engines import ENGINES, PRECISIONS
from common.inference.engines.pool import EnginePool
from common.inference.options import STEP, Options
from common.model.model import EXPORT_AGAIN

logger = logging.getLogger(__name__)

PREFIX = "PETCT_"
MODEL_PLACE = "model.json"
NONE, ALL = "none", "all"

Values = dict[str, Any]
"""Setting → value, as JSON holds it; settings that were not chosen are not there."""


@dataclass(frozen=True)
class Setting:
    """One thing that can be chosen."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    """The value that a text stands for; `ValueError` says what was expected."""
    metavar: str
    help: str
    nothing: str | None = None
    """How one says `None`; without this, that is no value of the setting."""
    default_words: str = ""
    """What the default is, where its value does not tell."""

    @property
    def usual(self) -> str:
        """The default, for people."""
        return self.default_words or self.nothing or as_text(self.default)

    @property
    def option(self) -> str:
        """The argument on the command line."""
        return f"--{self.name.replace('_', '-')}"

    @property
    def variable(self) -> str:
        """The environment variable."""
        return PREFIX + self.name.upper()


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text not in choices:
            raise ValueError(f"found {text!r}, expected {' or '.join(choices)}")
        return text

    return parse


def _seconds(text: str) -> float | None:
    return None if text == NONE else _number(text, "a number of seconds, or none")


def _step(text: str) -> float:
    return _number(text, "a number above 0 and up to 1", maximum=1)


def _number(text: str, expected: str, maximum: float = sys.float_info.max) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value <= maximum:
        raise ValueError(f"found {text}, expected {expected}")
    return value


def _folds(text: str) -> list[str] | None:
    if text == ALL:
        return None
    names = text.split(",")
    if not all(name.isalnum() for name in names) or len(set(names)) < len(names):
        raise ValueError(f"found {text!r}, expected folds as in 0,1,2, or all")
    return names


SETTINGS = (
    Setting(
        "time_limit",
        None,
        _seconds,
        "S",
        "run fewer folds and mirrorings if that is needed; none: no limit",
        nothing=NONE,
        default_words="the algorithm's, in its interface.json",
    ),
    Setting(
        "precision", "float32", _choice(*PRECISIONS), "P", f"{' or '.join(PRECISIONS)}; tensorrt: float16"
    ),
    Setting("engine", "auto", _choice(*ENGINES), "E", f"what computes: {', '.join(ENGINES)}"),
    Setting("mirroring", ALL, _choice(ALL, NONE), "M", "all or none: mirror tiles as training allows"),
    Setting("folds", None, _folds, "0,1", "folds to average, or all", nothing=ALL),
    Setting("step", STEP, _step, "F", "distance between tiles, as a fraction of a tile"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


def as_text(value: Any) -> str:
    """A setting's value as one would type it."""
    if isinstance(value, list):
        return ",".join(map(str, value))
    return repr(value).removesuffix(".0") if isinstance(value, float) else str(value)


def shown(name: str, value: Any) -> str:
    """A setting's value as one would type it, also where it stands for no choice."""
    nothing = BY_NAME[name].nothing
    return nothing if value is None and nothing else as_text(value)


def from_document(entries: Mapping[str, Any], where: str) -> Values:
    """The settings in a section of a JSON document; `ValueError` names the first that is wrong."""
    return {name: _from_json(name, value, where) for name, value in entries.items()}


def _from_json(name: str, value: Any, where: str) -> Any:
    if name not in BY_NAME:
        raise ValueError(f"{where}.{name} is no setting; there are {', '.join(BY_NAME)}")
    try:
        return BY_NAME[name].parse(shown(name, value))
    except ValueError as error:
        raise ValueError(f"{where}.{name}: {error}") from error


def from_environment(environment: Mapping[str, str]) -> Values:
    """The settings among the environment variables.

    Raises `InputError` for a value that is wrong; a variable of the same prefix that is none is warned of.
    """
    variables = {setting.variable: setting for setting in SETTINGS}
    values: Values = {}
    for variable in sorted(name for name in environment if name.startswith(PREFIX)):
        if variable not in variables:
            logger.warning("%s is no setting and is ignored; there are %s", variable, ", ".join(variables))
            continue
        try:
            values[variables[variable].name] = variables[variable].parse(environment[variable])
        except ValueError as error:
            raise InputError(f"{variable}: {error}; change the variable or unset it") from error
    return values


def resolve(places: Mapping[str, Values]) -> tuple[Values, dict[str, str]]:
    """What each setting is, and the name of the place that says so.

    `places` come in the order in which they win. A setting that no place chooses has its default and is not
    among the places' names.
    """
    origins: dict[str, str] = {}
    for setting in SETTINGS:
        for place, chosen in places.items():
            if setting.name in chosen:
                origins.setdefault(setting.name, place)
    values = {s.name: places[origins[s.name]][s.name] if s.name in origins else s.default for s in SETTINGS}
    return values, origins


def choose(
    arguments: Values, model_run: Mapping[str, Any], interface_run: Mapping[str, Any] | None = None
) -> tuple[Values, dict[str, str]]:
    """What each setting is for a run here, and the place that says so; raises as the places' readers."""
    return resolve(
        {
            "argument": arguments,
            "environment": from_environment(os.environ),
            MODEL_PLACE: model_settings(model_run, MODEL_PLACE),
            "interface.json": model_settings(interface_run or {}, "interface.json", EXPORT_AGAIN),
        }
    )


def describe(values: Values, origins: Mapping[str, str]) -> str:
    """Each value that was chosen, and where, in one line."""
    chosen = [f"{name} {shown(name, values[name])} ({place})" for name, place in origins.items()]
    return f"settings: {', '.join(chosen) or 'all defaults'}"


def as_options(values: Values, start: float, engines: EnginePool | None = None) -> Options:
    """The settings as prediction takes them; the time limit counts from `start` (`time.monotonic`).

    A warm process has `engines` already.
    """
    limit, folds = values["time_limit"], values["folds"]
    return Options(
        engines=engines or EnginePool(values["engine"], values["precision"]),
        deadline=None if limit is None else start + limit,
        mirroring=values["mirroring"] == ALL,
        folds=None if folds is None else tuple(folds),
        step=values["step"],
    )


def require_folds(values: Values, available: list[str], error: type[PetctError]) -> None:
    """Raise `error` where the settings choose folds that a model does not have."""
    absent = [name for name in values.get("folds") or () if name not in available]
    if absent:
        raise error(
            f"found no fold {absent[0]}, the model has {', '.join(available)}; choose among them with --folds"
        )


def model_settings(
    entries: Mapping[str, Any], source: str, remedy: str = "set it anew with petct settings --clear"
) -> Values:
    """The settings of a document's section `run`; `ModelError` names the first that is wrong."""
    try:
        return from_document(entries, "run")
    except ValueError as error:
        raise ModelError(f"{source}: {error}; {remedy}") from error
