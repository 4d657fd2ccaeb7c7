"""The deformable convolution's kernel, compiled for each kind of GPU by NVRTC: needs no GPU and no toolkit.

Source: NVIDIA, NVRTC (CUDA C++ at run time); the package brings the compiler and no headers.
"""

import hashlib
from importlib.resources import files
from pathlib import Path
from typing import Any

from common.errors import MachineError
from common.inference.files import KernelFile

CAPABILITIES = ("7.5", "8.0", "8.6", "8.9", "9.0", "12.0")
"""Compute capabilities: a cubin runs on GPUs of its major one whose minor one is not lower."""
NAME = "deform_im2col3d"
PACKAGES = "nvidia-cuda-nvrtc-cu12 cuda-bindings"
OPTIONS = ("--std=c++17", "--ptxas-options=-v")
"""The second puts registers, stack and spills into the log."""


def write_cubins(folder: Path) -> tuple[KernelFile, ...]:
    """Compile the kernel for all of `CAPABILITIES` into `folder`; the same compiler gives the same bytes.

    Raises `MachineError` where NVRTC is missing or refuses the kernel, and where the disk is full.
    """
    return tuple(_write_cubin(capability, folder) for capability in CAPABILITIES)


def compile_cubin(capability: str) -> tuple[bytes, str]:
    """Compile the kernel for a capability, such as `"7.5"`; cubin and log. Raises as `write_cubins`."""
    nvrtc = _load_nvrtc()
    source, header = (
        (files("common.export.tensorrt") / "kernels" / f"{NAME}{suffix}").read_bytes()
        for suffix in (".cu", ".h")
    )
    program = _call(
        nvrtc.nvrtcCreateProgram, source, f"{NAME}.cu".encode(), 1, [header], [f"{NAME}.h".encode()]
    )
    try:
        options = [f"--gpu-architecture=sm_{capability.replace('.', '')}", *OPTIONS]
        (code,) = nvrtc.nvrtcCompileProgram(program, len(options), [option.encode() for option in options])
        log = _read(nvrtc.nvrtcGetProgramLogSize, nvrtc.nvrtcGetProgramLog, program).rstrip(b"\0").decode()
        if code != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            reason = log.splitlines()[0] if log else code.name
            raise MachineError(
                f"{NAME}.cu: NVRTC compiles no kernel for compute capability {capability} ({reason}); "
                f"pip install --upgrade {PACKAGES}, or choose --deform gather"
            )
        return _read(nvrtc.nvrtcGetCUBINSize, nvrtc.nvrtcGetCUBIN, program), log
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def _write_cubin(capability: str, folder: Path) -> KernelFile:
    cubin, _ = compile_cubin(capability)
    path = folder / f"{NAME}.sm{capability.replace('.', '')}.cubin"
    try:
        path.write_bytes(cubin)
    except OSError as error:
        raise MachineError(f"{path}: cannot be written ({error.strerror}); free some space") from error
    return KernelFile(path, capability, hashlib.sha256(cubin).hexdigest())


def _load_nvrtc() -> Any:
    """NVRTC's functions; the library is looked for at the first call of one."""
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()
    except (ImportError, RuntimeError) as error:
        raise MachineError(
            "NVRTC, which compiles the deformable convolution's kernel, is not installed; "
            f"pip install {PACKAGES}, or choose --deform gather"
        ) from error
    return nvrtc


def _read(size: Any, content: Any, program: Any) -> bytes:
    buffer = bytes(_call(size, program))
    _call(content, program, buffer)
    return buffer


def _call(function: Any, *arguments: Any) -> Any:
    code, *results = function(*arguments)
    if int(code):
        raise MachineError(
            f"NVRTC fails ({function.__name__}: {code.name}); pip install --upgrade {PACKAGES}"
        )
    return results[0] if results else None
