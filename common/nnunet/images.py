"""A case's images in the channel order of the plans."""

import numpy as np
from numpy.typing import NDArray

from common.case import Case
from common.errors import InputError
from common.nnunet.plans import Plans


def take_images(case: Case, plans: Plans) -> list[NDArray[np.float32]]:
    """The images (z, y, x) for the plans' channels, taken out of the case so that none is held twice.

    Those that no channel wants are dropped. The case names its images as the channels, in lower case: `CT` is
    `ct`. Raises `InputError` when the case has no such image.
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
