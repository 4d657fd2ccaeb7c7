import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from common.export.res2net_unet import load_localiser
from common.phantom.phantom import Phantom, make_phantom
from containers.l2snet.demo.plans import SPACING, make_plans
from containers.l2snet.demo.shallow import ShallowLocaliser, whole_state
from containers.l2snet.demo.subjects import in_frames, in_network_space
from containers.l2snet.localisation import Frame, scaled
from containers.l2snet.network import read_plans


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(1, (240, 96, 32), lesions=8)


def test_the_whole_network_computes_what_the_shallow_one_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    shallow = ShallowLocaliser().half().float().eval()
    path = tmp_path / "epoch_001.pth"
    torch.save(whole_state(shallow), path)
    tiles = torch.randn(1, 5, 64, 96)
    with torch.inference_mode():
        torch.testing.assert_close(load_localiser(path)(tiles), shallow(tiles), rtol=0, atol=1e-4)
    assert path.stat().st_size < 10 * 2**20


def test_a_subject_in_frames_is_what_localisation_sees(phantom: Phantom) -> None:
    subject = in_frames(phantom)
    rng = np.random.default_rng(0)
    tile = subject.volume(rng).tile((3, 0, 0), (1, 320, 384))
    frame = Frame(*phantom.pet.shape[:2])
    for channel in range(5):
        expected = frame.see(scaled(phantom.pet[:, :, 3 + channel]))
        np.testing.assert_array_equal(tile[channel, 0], expected)
    truth = subject.truth.tile((3, 0, 0), (1, 320, 384))[0, 0]
    np.testing.assert_array_equal(truth, frame.see(phantom.truth[:, :, 5].astype(np.float32)) > 0.5)


def test_places_in_frames_are_in_lesions(phantom: Phantom) -> None:
    subject = in_frames(phantom)
    assert len(subject.places) > 1
    assert all(subject.truth.tile(place, (1, 1, 1)).item() == 1 for place in subject.places)


def test_a_subject_in_network_space_has_the_plans_spacing(phantom: Phantom, tmp_path: Path) -> None:
    voxels = [image[phantom.truth > 0] for image in (phantom.pet, phantom.ct)]
    folder = write_plans(tmp_path, make_plans(voxels, (1, 1, 1)))
    subject = in_network_space(phantom, read_plans(folder)[0])
    ratio = np.prod(phantom.geometry.spacing_zyx) / np.prod(SPACING)
    truth = subject.truth.tile((0, 0, 0), subject.truth.shape)
    assert truth.sum() == pytest.approx(phantom.truth.sum() * ratio, rel=0.2)


def write_plans(folder: Path, plans: object) -> Path:
    (folder / "plans.pkl").write_bytes(pickle.dumps(plans))
    return folder
