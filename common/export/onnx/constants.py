"""The form in which graph passes expect a network: constants as initializers, all types and shapes known."""

import onnx_ir as ir
from onnx_ir.passes.common import LiftConstantsToInitializersPass, ShapeInferencePass


def prepared(model: ir.Model) -> ir.Model:
    """Return a copy, which shares its tensors with `model`, with constants lifted and types inferred."""
    model = model.clone()
    LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)(model)
    ShapeInferencePass(strict_mode=False)(model)
    return model
