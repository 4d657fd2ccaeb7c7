import numpy as np
import pytest

from common.case import Case
from common.errors import InputError
from common.geometry import Geometry
from common.nnunet.images import take_images
from common.nnunet.plans import ChannelSpec, Plans, Resampling

GEOMETRY = Geometry((3, 3, 3), (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0, 0, 0, 1.0, 0, 0, 0, 1.0))


def plans(*channels: str) -> Plans:
    return Plans(
        generation=1,
        patch=(8, 8, 8),
        spacing=(1.0, 1.0, 1.0),
        transpose_forward=(0, 1, 2),
        channels=tuple(ChannelSpec(name, "none") for name in channels),
        resample_data=Resampling(order=3),
        resample_prediction=Resampling(order=1),
    )


def case(*names: str) -> Case:
    images = {name: np.full((3, 3, 3), number, np.float32) for number, name in enumerate(names)}
    return Case(images, GEOMETRY, "case")


def test_images_come_in_the_plans_order_and_the_case_holds_none_any_more() -> None:
    of = case("ct", "pet", "mri")
    taken = take_images(of, plans("PET", "CT"))
    assert [image[0, 0, 0] for image in taken] == [1, 0]
    assert not of.images


def test_a_channel_without_an_image_is_named_and_nothing_is_taken() -> None:
    of = case("pet")
    with pytest.raises(InputError, match="wants a CT, the case has pet only; give the case its CT, or use"):
        take_images(of, plans("PET", "CT"))
    assert of.images
