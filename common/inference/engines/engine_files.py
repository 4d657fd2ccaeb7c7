"""Which of a network's compiled engines fits the GPU and the libraries that are there."""

from collections.abc import Mapping

from common.errors import MachineError, ModelError
from common.hashes import sha256_of
from common.inference.engines.carriers import Library
from common.inference.engines.gpu import Capability, GpuInfo
from common.inference.files import Carrier, EngineFile, KernelFile, NetworkFiles

EXPORT_AGAIN = "export the checkpoint again"


def fitting_engine(
    files: NetworkFiles, gpu: GpuInfo, libraries: Mapping[Carrier, Library]
) -> tuple[EngineFile, Library]:
    """The engine for this GPU, and the library that loads it.

    One that was compiled for just this compute capability is taken before one for many. Raises `MachineError`
    that says what is there, and what was expected.
    """
    if not files.engines:
        raise MachineError(
            f"{files}: has no compiled engines for the GPU; export the checkpoint with --tensorrt"
        )
    for_gpu = [engine for engine in files.engines if fits(engine.target, gpu.capability)]
    if not for_gpu:
        targets = " and ".join(dict.fromkeys(engine.target for engine in files.engines))
        raise MachineError(
            f"{files}: the engines are for compute capability {targets}, {gpu.name} has "
            f"{gpu.capability_name}; export the checkpoint for this GPU, with --targets or --carrier"
        )
    loadable = [engine for engine in for_gpu if engine.carrier in libraries]
    if not loadable:
        raise MachineError(
            f"{for_gpu[0].path}: built by {for_gpu[0].carrier}, installed is {' and '.join(libraries)}; "
            f"install {for_gpu[0].carrier} {for_gpu[0].version}, or {EXPORT_AGAIN}"
        )
    chosen = min(
        loadable, key=lambda engine: (engine.target.endswith("+"), [*libraries].index(engine.carrier))
    )
    return chosen, libraries[chosen.carrier]


def fits(target: str, capability: Capability) -> bool:
    """Whether an engine for `target`, such as `"7.5"` or `"8.0+"`, runs at this compute capability."""
    major, minor = map(int, target.rstrip("+").split("."))
    return capability >= (major, minor) if target.endswith("+") else capability == (major, minor)


def require_version(engine: EngineFile, library: Library, version: str) -> None:
    """Raise `MachineError` where the library, of that version, will not load the engine."""
    if engine.version != version:
        raise MachineError(
            f"{engine.path}: built by {library.title} {engine.version}, installed is {version}; "
            f"{EXPORT_AGAIN} where this version is installed"
        )


def require_unaltered(file: EngineFile | KernelFile) -> None:
    """Raise `ModelError` for a file that is not the one that was exported."""
    if not file.path.is_file():
        raise ModelError(f"{file.path}: no such file, expected what model.json names; {EXPORT_AGAIN}")
    if (found := sha256_of(file.path)) != file.sha256:
        raise ModelError(
            f"{file.path}: altered, found SHA-256 {found[:12]}…, expected {file.sha256[:12]}… as in "
            f"model.json; {EXPORT_AGAIN}"
        )
