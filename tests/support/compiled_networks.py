"""Networks whose compiled engines the double of TensorRT computes."""

from pathlib import Path

import numpy as np

from common.hashes import sha256_of
from common.inference.files import EngineFile
from common.inference.network import Fold, Network, Parity
from common.inference.volume import ArrayChannel, Volume
from common.nnunet.plans import ChannelSpec, Plans, Resampling
from tests.support.gpu_double import ACTIVATIONS, PretendedTensorRt
from tests.support.onnx_files import save_mixing

SIZE = 8
SHAPE = (11, 9, 13)
TILES = 2 * 2 * 3


def compiled_network(
    folder: Path, *, folds: int = 2, target: str = "7.5", batches: tuple[int, ...] = (1,), onnx: bool = True
) -> Network:
    """A network of two classes with one engine for each fold, and an ONNX file that computes the same."""
    plans = Plans(
        generation=2,
        patch=(SIZE, SIZE, SIZE),
        spacing=(1.0, 1.0, 1.0),
        transpose_forward=(0, 1, 2),
        channels=(ChannelSpec("PET", "none"),),
        resample_data=Resampling(3),
        resample_prediction=Resampling(1),
    )
    made = tuple(_fold(folder, str(number), target, batches, onnx) for number in range(folds))
    return Network("segmentation", ("PET",), plans.patch, 2, (0, 2), made, 0, plans)


def _fold(folder: Path, name: str, target: str, batches: tuple[int, ...], onnx: bool) -> Fold:
    path = save_mixing(folder / f"fold_{name}.onnx", SIZE, int(name))
    file = folder / f"fold_{name}.engine"
    file.write_bytes(path.read_bytes())
    version, memory = PretendedTensorRt.__version__, ACTIVATIONS * batches[-1]
    engine = EngineFile(file, "tensorrt_rtx", version, target, "float16", batches, memory, sha256_of(file))
    return Fold(name, path if onnx else None, Parity(0, 1), engines=(engine,))


def random_volume() -> Volume:
    """A volume of one channel that takes `TILES` tiles."""
    return Volume(SHAPE, [ArrayChannel(np.random.default_rng(0).standard_normal(SHAPE, np.float32))])
