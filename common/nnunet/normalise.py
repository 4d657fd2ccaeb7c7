"""Intensity normalisation, in place.

Sources: nnunetv2/preprocessing/normalization/default_normalization_schemes.py and, for `ct2`,
nnunet/preprocessing/preprocessing.py (nnU-Net 1.7.1).
"""

import numpy as np
from numpy.typing import NDArray

from common.errors import InputError
from common.nnunet.plans import ChannelSpec, Statistics

MIN_STD = 1e-8
"""Lower bound of the divisor."""


def normalise(image: NDArray[np.float32], channel: ChannelSpec, mask: NDArray[np.bool_] | None) -> None:
    """Normalise an image (z, y, x; HU, SUV) in place, by the scheme of its channel.

    `mask` is the non-zero region (z, y, x), needed by channels with `use_mask`. Raises `InputError` for
    intensities that the scheme does not allow.
    """
    match channel.scheme:
        case "ct":
            _ct(image, channel)
        case "ct2":
            _ct2(image, channel)
        case "z_score":
            _z_score(image, mask if channel.use_mask else None)
        case "rescale_0_1":
            image -= image.min()
            image /= max(float(image.max()), MIN_STD)
        case "rgb_0_1":
            _rgb(image, channel)
        case "none":
            pass


def mean_and_std(image: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> tuple[float, float]:
    """Return mean and standard deviation in float64, computed slice by slice without a copy of the image."""
    slices = [image[z] if mask is None else image[z][mask[z]] for z in range(len(image))]
    count = max(1, sum(s.size for s in slices))
    mean = sum(float(s.sum(dtype=np.float64)) for s in slices) / count
    square = sum(float(np.square(s - mean, dtype=np.float64).sum()) for s in slices)
    return mean, float(np.sqrt(square / count))


def _statistics(channel: ChannelSpec) -> Statistics:
    if channel.statistics is None:
        raise ValueError(f"channel {channel.name} has no statistics")
    return channel.statistics


def _ct(image: NDArray[np.float32], channel: ChannelSpec) -> None:
    statistics = _statistics(channel)
    np.clip(image, statistics.percentile_00_5, statistics.percentile_99_5, out=image)
    image -= statistics.mean
    image /= max(statistics.std, MIN_STD)


def _ct2(image: NDArray[np.float32], channel: ChannelSpec) -> None:
    low, high = _statistics(channel).percentile_00_5, _statistics(channel).percentile_99_5
    inside = (image > low) & (image < high)
    if not inside.any():
        raise InputError(
            f"channel {channel.name}: found no intensity between {low:g} and {high:g}, as in the training; "
            "check the image's unit"
        )
    mean, std = mean_and_std(image, inside)
    np.clip(image, low, high, out=image)
    image -= mean
    image /= max(std, MIN_STD)


def _z_score(image: NDArray[np.float32], mask: NDArray[np.bool_] | None) -> None:
    mean, std = mean_and_std(image, mask)
    where = True if mask is None else mask
    np.subtract(image, np.float32(mean), out=image, where=where)
    np.divide(image, np.float32(max(std, MIN_STD)), out=image, where=where)


def _rgb(image: NDArray[np.float32], channel: ChannelSpec) -> None:
    lowest, highest = float(image.min()), float(image.max())
    if lowest < 0 or highest > 255:
        raise InputError(
            f"channel {channel.name}: found intensities from {lowest:g} to {highest:g}, expected 0 to 255; "
            "the model was trained on colour images"
        )
    image /= 255
