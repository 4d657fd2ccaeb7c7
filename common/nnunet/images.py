"""A case's images in the channel order of the plans."""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.errors import InputError
from common.nnunet.plans import Plans


def take_images(case: Case, plans: Plans) -> list[NDArray[np.float32]]:
    """Return the images (z, y, x) for the plans' channels and remove all images from the case.

    An image has the name of its channel in lower case: `ct` for `CT`. Raises `InputError` if an image is
    missing in the case.
    """
    for channel in plans.channels:
        if channel.name.lower() not in case.images:
            raise InputError(
                f"the model wants a {channel.name}, the case has {', '.join(sorted(case.images))} only; give "
                f"the case its {channel.name}, or use a checkpoint that was trained without it"
            )
    taken = [case.images.pop(channel.name.lower()) for channel in plans.channels]
    case.images.clear()
    return taken
