"""Engines of the published networks' sizes, built on this machine, which needs no GPU.

python benchmarks/engines.py [ALGORITHM ...]

Exports one fold of random weights each, builds the engines for both targets, and prints a Markdown table.
None of the engines is run.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import onnx_ir as ir

from benchmarks.real_checkpoints import WRITERS
from common import algorithms
from common.export.onnx.for_tensorrt import for_tensorrt
from common.export.tensorrt.build import Request, build
from common.export.tensorrt.engines import TARGETS
from common.inference.network import Network
from common.memory import GIB
from common.model.reading import read_model


def report(algorithm: str, folder: Path) -> None:
    WRITERS[algorithm](folder / "checkpoint", 1)
    algorithms.exporter(algorithm).export(folder / "checkpoint", folder / "model")
    for network in read_model(folder / "model", algorithm).networks:
        _report_network(algorithm, network, folder)


def _report_network(algorithm: str, network: Network, folder: Path) -> None:
    exact = network.folds[0].path
    assert exact is not None
    path, engine = folder / "float16.onnx", folder / "built.engine"
    ir.save(for_tensorrt(ir.load(exact)), path)
    for target in TARGETS["all"]:
        built = build(Request(path, engine, "tensorrt_rtx", target))
        shape = "×".join(map(str, (len(network.channels), *network.patch)))
        print(
            f"| {algorithm} {network.name}, {shape} | {target} | {built.seconds:.1f} "
            f"| {engine.stat().st_size / 1e6:.1f} | {built.activation_memory / 1e9:.2f} "
            f"| {built.peak_memory / GIB:.2f} |",
            flush=True,
        )


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("algorithms", nargs="*", metavar="ALGORITHM", help=f"{', '.join(WRITERS)} (all)")
    parsed = parser.parse_args(arguments)
    print("| network | target | seconds | MB | activations, GB | peak memory here, GiB |")
    print("|---|---|--:|--:|--:|--:|", flush=True)
    for algorithm in parsed.algorithms or WRITERS:
        with TemporaryDirectory(prefix="petct-engines-") as folder:
            report(algorithm, Path(folder))


if __name__ == "__main__":
    main()
