"""A case's images in the order that a network's plans name them."""

import numpy as np
from numpy.typing import NDArray

from common.errors import ModelError
from common.grandchallenge.case import Case
from common.nnunet.plans import Plans


def take_images(case: Case, plans: Plans) -> list[NDArray[np.float32]]:
    """The images (z, y, x) for the plans' channels, taken out of the case so that none is held twice.

    A channel is the socket of the same name, in lower case: `CT` is `ct`. Raises `ModelError` when
    the case has no such socket.
    """
    for channel in plans.channels:
        if channel.name.lower() not in case.images:
            raise ModelError(
                f"the model wants a channel {channel.name!r}, the case has {sorted(case.images)}; use the "
                "checkpoint that was trained on these images"
            )
    return [case.images.pop(channel.name.lower()) for channel in plans.channels]
