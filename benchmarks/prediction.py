"""160×180×180 voxels through a network of six million parameters with eight mirrorings, images to mask.

python benchmarks/prediction.py
"""

from benchmarks.paired import main
from benchmarks.scenario import Scenario
from common.inference.engines.pool import EnginePool
from common.inference.options import Options

SCENARIO = Scenario("prediction", (160, 180, 180), (0, 1, 2))

if __name__ == "__main__":
    subjects = {
        "nnU-Net": SCENARIO.nnunet,
        "petct float32": lambda: SCENARIO.petct(Options()),
        "petct bfloat16": lambda: SCENARIO.petct(Options(EnginePool(precision="bfloat16"))),
    }
    main(__doc__, subjects, baseline="nnU-Net", runs=3, prepare=SCENARIO.write)
