"""TensorRT-RTX's builder, which needs no GPU."""

from pathlib import Path

import onnx
import onnx_ir as ir
import tensorrt_rtx_bindings as trt

TYPED = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def engine_bytes(model: ir.Model, path: Path, capability: str = "SM75") -> int:
    """Check the model, build it for a compute capability, and return the engine's size."""
    ir.save(model, path)
    onnx.checker.check_model(path, full_check=True)
    logger = trt.Logger(trt.Logger.ERROR)
    builder = trt.Builder(logger)
    network = builder.create_network(TYPED)
    parser = trt.OnnxParser(network, logger)
    parsed = parser.parse_from_file(str(path))
    assert parsed, [parser.get_error(index).desc() for index in range(parser.num_errors)]
    assert {network.get_input(0).dtype, network.get_output(0).dtype} == {trt.float32}
    config = builder.create_builder_config()
    config.num_compute_capabilities = 1
    config.set_compute_capability(getattr(trt.ComputeCapability, capability), 0)
    engine = builder.build_serialized_network(network, config)
    assert engine is not None
    return memoryview(engine).nbytes
