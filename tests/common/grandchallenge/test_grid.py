from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import linprog
from scipy.spatial.transform import Rotation

from common.geometry import Geometry
from common.grandchallenge.grid import overlap, resample, same_grid
from common.grandchallenge.images import Image
from tests.support.platform import GRID, IDENTITY, OBLIQUE, noise, run_python

LONG = Geometry((400, 400, 300), (2.0, 2.0, 3.0), (-400.0, -400.0, -900.0), OBLIQUE)


def rotation(seed: int) -> tuple[float, ...]:
    return tuple(Rotation.random(random_state=seed).as_matrix().ravel().tolist())


def moved(grid: Geometry, x: float, y: float, z: float) -> Geometry:
    """Shifted along the grid's own axes, in voxels."""
    steps = np.reshape(grid.direction, (3, 3)) * grid.spacing
    origin = np.array(grid.origin) + steps @ (x, y, z)
    return replace(grid, origin=(float(origin[0]), float(origin[1]), float(origin[2])))


def positions(grid: Geometry) -> np.ndarray:
    """Patient coordinates of all voxels, (z, y, x, 3)."""
    z, y, x = np.meshgrid(*map(np.arange, grid.shape), indexing="ij")
    steps = np.reshape(grid.direction, (3, 3)) * grid.spacing
    return np.array(grid.origin) + np.stack([x, y, z], axis=-1) @ steps.T


def have_a_common_point(reference: Geometry, other: Geometry) -> bool:
    """By linear programming: the box of the one's voxel centres, the box of the other's whole voxels."""
    first = np.reshape(reference.direction, (3, 3)) * reference.spacing
    second = np.reshape(other.direction, (3, 3)) * other.spacing
    bounds = [(0, size - 1) for size in reference.size] + [(-0.5, size - 0.5) for size in other.size]
    between = np.subtract(other.origin, reference.origin)
    return bool(linprog(np.zeros(6), A_eq=np.hstack([first, -second]), b_eq=between, bounds=bounds).success)


def test_grid_is_the_same_as_itself() -> None:
    assert same_grid(LONG, LONG)


@pytest.mark.parametrize(
    "rounded",
    [
        replace(LONG, origin=(-400.001, -400.0, -899.999)),
        replace(LONG, spacing=(2.0002, 2.0002, 3.0)),
        replace(LONG, direction=tuple(round(value, 5) for value in OBLIQUE)),
    ],
)
def test_grid_with_a_rounded_header_is_the_same(rounded: Geometry) -> None:
    assert same_grid(LONG, rounded)
    assert same_grid(rounded, LONG)


@pytest.mark.parametrize(
    "other",
    [
        replace(LONG, size=(400, 400, 299)),
        replace(LONG, spacing=(2.01, 2.0, 3.0)),
        moved(LONG, 0, 0.2, 0),
        replace(LONG, direction=IDENTITY),
        replace(LONG, direction=tuple(-value for value in OBLIQUE)),
    ],
)
def test_grid_of_other_voxels_is_not_the_same(other: Geometry) -> None:
    assert not same_grid(LONG, other)


@pytest.mark.parametrize("direction", [IDENTITY, OBLIQUE])
@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("sign", [-1, 1])
def test_neighbour_overlaps_until_its_last_voxel_has_left(
    direction: tuple[float, ...], axis: int, sign: int
) -> None:
    reference = replace(GRID, direction=direction)
    shift = np.eye(3)[axis] * sign
    assert overlap(reference, moved(reference, *shift * (GRID.size[axis] - 0.6)))
    assert not overlap(reference, moved(reference, *shift * (GRID.size[axis] - 0.4)))


def test_oblique_image_beside_the_reference_does_not_overlap_though_its_bounding_box_does() -> None:
    turned = tuple(Rotation.from_euler("z", 45, degrees=True).as_matrix().ravel().tolist())
    reference = Geometry((11, 11, 11), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), IDENTITY)
    diamond = Geometry((11, 11, 11), (1.0, 1.0, 1.0), (19.0, 5.0, 0.0), turned)
    corner = positions(diamond)[..., :2].reshape(-1, 2).min(axis=0)
    assert (corner < 12).all()
    assert not overlap(reference, diamond)
    assert overlap(reference, moved(diamond, -4, 4, 0))


def test_image_within_another_overlaps_both_ways() -> None:
    assert overlap(LONG, moved(replace(LONG, size=(5, 5, 5)), 200, 200, 150))
    assert overlap(moved(replace(LONG, size=(5, 5, 5)), 200, 200, 150), LONG)


def test_overlap_agrees_with_linear_programming_for_any_orientation() -> None:
    random = np.random.default_rng(0)
    seen = []
    for seed in range(300):
        x, y, z = random.uniform(-14, 14, 3).tolist()
        reference = Geometry((9, 8, 7), (1.0, 1.5, 2.0), (0.0, 0.0, 0.0), rotation(2 * seed))
        other = Geometry((4, 9, 6), (2.0, 1.0, 1.5), (x, y, z), rotation(2 * seed + 1))
        seen.append(overlap(reference, other))
        assert seen[-1] == have_a_common_point(reference, other)
    assert 50 < sum(seen) < 250


def test_resampling_keeps_a_linear_field_and_fills_the_outside() -> None:
    source = Geometry((30, 28, 26), (2.0, 2.2, 2.4), (-30.0, -30.0, -30.0), OBLIQUE)
    target = Geometry((16, 15, 14), (3.0, 2.5, 4.0), (-15.0, -5.0, 0.0), rotation(5))
    slope = np.array([0.3, -0.2, 0.5])
    image = Image((positions(source) @ slope).astype(np.float32), source)
    resampled = resample(image, target, -1024.0)
    assert resampled.geometry == target
    assert resampled.voxels.dtype == np.float32
    inverse = np.linalg.inv(np.reshape(source.direction, (3, 3)) * source.spacing)
    index = (positions(target) - source.origin) @ inverse.T
    inside = ((index >= 0) & (index <= np.subtract(source.size, 1))).all(axis=-1)
    outside = ((index < -0.5) | (index > np.subtract(source.size, 0.5))).any(axis=-1)
    assert inside.sum() > 100
    assert outside.sum() > 100
    np.testing.assert_allclose(resampled.voxels[inside], (positions(target) @ slope)[inside], atol=1e-3)
    np.testing.assert_array_equal(resampled.voxels[outside], -1024)


def test_resampling_onto_its_own_grid_changes_nothing() -> None:
    image = Image(noise(GRID.shape), GRID)
    np.testing.assert_allclose(resample(image, GRID, 0).voxels, image.voxels, atol=1e-5)


def test_memory_that_runs_out_is_the_machines_failure() -> None:
    code = """
from dataclasses import replace
from resource import RLIMIT_DATA, setrlimit
import numpy as np
from common.errors import MachineError
from common.grandchallenge.grid import resample
from common.grandchallenge.images import Image
from tests.support.platform import GRID, noise
setrlimit(RLIMIT_DATA, (2**30, 2**30))
try:
    resample(Image(noise(GRID.shape), GRID), replace(GRID, size=(1000, 1000, 1000)), 0)
except MachineError as error:
    print(error.exit_code, error)
"""
    assert run_python(code).startswith(
        "4 not enough memory to resample an image to (1000, 1000, 1000) voxels"
    )
