from common.geometry import Geometry
from tests.support.platform import IDENTITY


def test_a_grid_describes_itself_in_rounded_numbers() -> None:
    grid = Geometry((400, 400, 326), (2.03642, 2.0364222, 3.0), (-407.2843, 0.00001, 20), IDENTITY)
    assert str(grid) == "400 × 400 × 326 voxels of 2.0364 × 2.0364 × 3.0 mm from -407.2843, 0.0, 20 mm"
