"""Building engines with the plugin, in a process that finds TensorRT-RTX under the name that plugins need."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any


def build_with_plugin(path: Path, folder: Path, *targets: str) -> Any:
    """How many of the network's layers are plugins, and the bytes of each target's engine.

    `folder` is where the link to the library is put.
    """
    package = find_spec("tensorrt_rtx_libs")
    assert package is not None
    assert package.submodule_search_locations
    library = Path(package.submodule_search_locations[0]) / "libtensorrt_rtx.so.1"
    (folder / "libtensorrt_rtx.so").symlink_to(library)
    process = subprocess.run(
        [sys.executable, "-m", "tests.support.plugin_process", path, *targets],
        env={**os.environ, "LD_LIBRARY_PATH": str(folder), "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout.splitlines()[-1])


def main(path: str, *targets: str) -> None:
    """The child's side of `build_with_plugin`."""
    import tensorrt_rtx_bindings as trt

    from common.inference.engines.deform_im2col3d import register

    creator = register(trt)
    assert register(trt) is creator
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    parser = trt.OnnxParser(network, logger)
    assert parser.parse_from_file(path), [parser.get_error(i).desc() for i in range(parser.num_errors)]
    sizes = []
    for target in targets:
        config = builder.create_builder_config()
        if target != "8.0+":
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, f"SM{target.replace('.', '')}"), 0)
        engine = builder.build_serialized_network(network, config)
        sizes.append(engine.nbytes if engine else 0)
    layers = [network.get_layer(i) for i in range(network.num_layers)]
    plugins = sum(layer.type == trt.LayerType.PLUGIN_V3 for layer in layers)
    sys.stdout.write(f"\n{json.dumps({'plugins': plugins, 'sizes': sizes})}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
