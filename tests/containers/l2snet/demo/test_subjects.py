import numpy as np
import pytest

from common.demo.phantom.phantom import Phantom, make_phantom
from containers.l2snet.demo.subjects import in_frames
from containers.l2snet.localisation import Frame, normalised


@pytest.fixture(scope="module")
def phantom() -> Phantom:
    return make_phantom(1, (240, 96, 32), lesions=8)


def test_a_subject_in_frames_is_what_localisation_sees(phantom: Phantom) -> None:
    subject = in_frames(phantom)
    rng = np.random.default_rng(0)
    tile = subject.volume(rng).tile((3, 0, 0), (1, 320, 384))
    frame = Frame(*phantom.pet.shape[:2])
    for channel in range(5):
        expected = frame.to_tile(normalised(phantom.pet[:, :, 3 + channel]))
        np.testing.assert_array_equal(tile[channel, 0], expected)
    truth = subject.truth.tile((3, 0, 0), (1, 320, 384))[0, 0]
    np.testing.assert_array_equal(truth, frame.to_tile(phantom.truth[:, :, 5].astype(np.float32)) > 0.5)


def test_centres_in_frames_are_in_lesions(phantom: Phantom) -> None:
    subject = in_frames(phantom)
    assert len(subject.centres) > 1
    assert all(subject.truth.tile(centre, (1, 1, 1)).item() == 1 for centre in subject.centres)
