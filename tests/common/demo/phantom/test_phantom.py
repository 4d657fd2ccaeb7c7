import time
import tracemalloc

import numpy as np
import pytest

from common.demo.phantom.anatomy import draw_tissues
from common.demo.phantom.foci import INFLAMMATION, LESION
from common.demo.phantom.phantom import Phantom, draw_patient, make_phantom
from common.demo.phantom.sampling import Sampling
from common.demo.phantom.solids import Field
from common.demo.phantom.variation import Variation

COARSE = (120, 48, 64), (8.0, 8.0, 8.0)
SEEDS = range(20)


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(1)


def lesion_volume(phantom: Phantom) -> float:
    return int(phantom.truth.sum()) * phantom.geometry.voxel_volume_ml


def test_same_seed_gives_the_same_case() -> None:
    first, second = make_phantom(5, *COARSE), make_phantom(5, *COARSE)
    assert np.array_equal(first.ct, second.ct)
    assert np.array_equal(first.pet, second.pet)
    assert np.array_equal(first.truth, second.truth)
    assert first.clicks == second.clicks


def test_patients_differ_between_seeds() -> None:
    first, second = make_phantom(5, *COARSE), make_phantom(6, *COARSE)
    assert first.clicks != second.clicks
    assert abs(first.ct - second.ct).mean() > 20


@pytest.mark.parametrize("spacing", [(3.0, 3.0, 3.0), (5.0, 2.5, 2.5)])
def test_every_grid_samples_the_same_patient(phantom: Phantom, spacing: tuple[float, float, float]) -> None:
    extent = np.multiply(phantom.ct.shape, 4.0)
    z, y, x = np.rint(extent / spacing).astype(int).tolist()
    other = make_phantom(1, (z, y, x), spacing)
    assert lesion_volume(other) == pytest.approx(lesion_volume(phantom), rel=0.1)
    assert other.pet.mean() == pytest.approx(phantom.pet.mean(), rel=0.02)
    assert other.ct.mean() == pytest.approx(phantom.ct.mean(), abs=10)
    assert len(other.clicks) == len(phantom.clicks)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 40, 50), (33, 7, 1), (20, 31, 45)])
def test_any_size_can_be_made(shape: tuple[int, int, int]) -> None:
    phantom = make_phantom(3, shape, (6.0, 5.0, 4.0))
    for volume, dtype in ((phantom.ct, np.float32), (phantom.pet, np.float32), (phantom.truth, np.uint8)):
        assert volume.shape == shape
        assert volume.dtype == dtype
        assert np.isfinite(volume).all()
    assert phantom.geometry.shape == shape
    assert phantom.geometry.spacing == (4.0, 5.0, 6.0)


def test_field_of_view_is_centred_on_the_body() -> None:
    geometry = make_phantom(0, (3, 4, 5), (6.0, 5.0, 4.0)).geometry
    assert geometry.origin == (-8.0, -7.5, 394.0)


def test_intensities_are_those_of_hounsfield_units_and_suv(phantom: Phantom) -> None:
    assert -1024 <= phantom.ct.min() < -980
    assert 600 < phantom.ct.max() < 2000
    assert phantom.pet.min() >= 0
    assert 5 < phantom.pet.max() < 60
    assert phantom.ct[:, 0, 0].mean() == pytest.approx(-1000, abs=10)
    assert phantom.pet[:, 0, 0].mean() < 0.1


@pytest.mark.parametrize(
    ("organ", "hu", "suv"),
    [
        ("liver", (20, 90), (1.2, 4)),
        ("lung", (-950, -700), (0.1, 1)),
        ("white matter", (-20, 100), (2, 7)),
        ("kidney", (-20, 90), (1.5, 30)),
        ("bladder", (-50, 60), (3, 50)),
        ("heart", (0, 100), (0.8, 10)),
        ("vertebra", (80, 500), (0.4, 3)),
    ],
)
def test_organs_look_as_they_do_in_patients(
    organ: str, hu: tuple[float, float], suv: tuple[float, float]
) -> None:
    phantom = make_phantom(0, lesions=0)
    body = draw_patient(np.random.default_rng(0).spawn(1)[0], lesions=0)
    spacing = phantom.geometry.spacing_zyx
    sampling = Sampling(phantom.ct.shape, phantom.geometry.origin[::-1], spacing, body.scale)
    shape = next(tissue.shape for tissue in body.tissues if tissue.name == organ)
    voxel = sampling.deepest_voxel(shape)
    assert voxel is not None
    around = tuple(slice(index - 1, index + 2) for index in voxel)
    assert hu[0] < phantom.ct[around].mean() < hu[1]
    assert suv[0] < phantom.pet[around].mean() < suv[1]


def test_pet_noise_is_correlated_and_ct_noise_is_not(phantom: Phantom) -> None:
    thigh = np.s_[0:20, 44:52, 36:44]
    assert 0.3 < neighbour_correlation(phantom.pet[thigh]) < 0.9
    outside = np.s_[:, 2:8, 2:40]
    assert abs(neighbour_correlation(phantom.ct[outside])) < 0.1


def neighbour_correlation(volume: Field) -> float:
    return float(np.corrcoef(volume[..., 1:].ravel(), volume[..., :-1].ravel())[0, 1])


def test_pet_noise_grows_with_activity() -> None:
    phantom = make_phantom(0, lesions=0)
    liver, lung = phantom.pet[116:124, 46:52, 42:50], phantom.pet[145:153, 46:52, 42:50]
    assert liver.mean() > 3 * lung.mean()
    assert liver.std() > 1.4 * lung.std()
    assert liver.std() / liver.mean() < lung.std() / lung.mean()


@pytest.mark.parametrize("seed", range(4))
def test_clicks_tell_lesions_from_everything_else(seed: int) -> None:
    phantom = make_phantom(seed)
    names = [click.name for click in phantom.clicks]
    assert {"tumor", "background"} <= set(names)
    for click in phantom.clicks:
        x, y, z = map(int, click.point)
        assert phantom.truth[z, y, x] == (click.name == "tumor")


def test_healthy_patient_has_no_lesion() -> None:
    phantom = make_phantom(4, *COARSE, lesions=0)
    assert phantom.truth.sum() == 0
    assert all(click.name == "background" for click in phantom.clicks)


def test_as_many_lesions_as_asked_for() -> None:
    for count in (1, 3, 6):
        foci = draw_patient(np.random.default_rng(count), lesions=count).foci
        assert sum(focus.name == LESION for focus in foci) == count


def test_inflammation_is_hot_and_clicked_but_not_true() -> None:
    inflamed = 0
    for seed in SEEDS:
        patient = draw_patient(np.random.default_rng(seed).spawn(1)[0])
        benign = [focus for focus in patient.foci if focus.name == INFLAMMATION]
        inflamed += bool(benign)
        if benign and inflamed == 1:
            phantom = make_phantom(seed)
            sampling = Sampling(
                phantom.ct.shape, phantom.geometry.origin[::-1], phantom.geometry.spacing_zyx, patient.scale
            )
            z, y, x = sampling.deepest_voxel(benign[0].shape) or (0, 0, 0)
            assert phantom.truth[z, y, x] == 0
            assert phantom.pet[z, y, x] > 1.5
            assert (x, y, z) in [click.point for click in phantom.focus_clicks if click.name == "background"]
    assert 0.1 < inflamed / len(SEEDS) < 0.7


def test_lesions_range_from_small_to_large() -> None:
    lesions = [f for seed in SEEDS for f in draw_patient(np.random.default_rng(seed)).foci]
    sizes = [max(np.subtract(*focus.shape.bounds()[::-1])) for focus in lesions]
    assert min(sizes) < 12
    assert 30 < max(sizes) < 60


def test_organs_vary_in_uptake() -> None:
    livers = [
        tissue.suv
        for seed in SEEDS
        for tissue in draw_tissues(Variation(np.random.default_rng(seed)))
        if tissue.name == "liver"
    ]
    assert np.std(livers) > 0.1


def test_time_grows_no_faster_than_the_number_of_voxels() -> None:
    make_phantom(0, *COARSE)
    coarse = min(seconds(*COARSE) for _ in range(3))
    fine = seconds((240, 96, 128), (4.0, 4.0, 4.0))
    assert fine < 3 * 8 * coarse


def seconds(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> float:
    start = time.perf_counter()
    make_phantom(0, shape, spacing)
    return time.perf_counter() - start


def test_memory_is_bounded_by_a_few_volumes() -> None:
    tracemalloc.start()
    phantom = make_phantom(0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5 * phantom.pet.nbytes
