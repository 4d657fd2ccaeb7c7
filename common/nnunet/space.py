"""The way from the image's grid to the network's and back: transpose, crop, resample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.nnunet.plans import Plans, Resampling
from common.nnunet.resample import Shape, Spacing, resample

Crop = tuple[slice, slice, slice]


@dataclass(frozen=True)
class NetworkSpace:
    """Where the network's volume lies in the image.

    All but `image_shape` is in the network's axes: the image's (z, y, x) after `transpose_forward`.
    """

    plans: Plans
    image_shape: Shape
    """The image's voxels (z, y, x)."""
    image_spacing: Spacing
    """The image's voxel edges, transposed, in mm."""
    crop: Crop
    """The non-zero region of the transposed image."""
    shape: Shape
    """The network's voxels, after resampling to the plans' spacing."""

    @property
    def cropped_shape(self) -> Shape:
        """Voxels of the crop, before resampling."""
        a, b, c = (s.stop - s.start for s in self.crop)
        return a, b, c

    def from_image(self, volume: NDArray[np.float32], how: Resampling) -> NDArray[np.float32]:
        """A volume on the image's grid (z, y, x) transposed, cropped and resampled to the network's shape."""
        cropped = volume.transpose(self.plans.transpose_forward)[self.crop]
        return resample(cropped, self.shape, self.image_spacing, self.plans.spacing, how)

    def to_crop(self, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """A prediction (network's shape) resampled to the crop's shape."""
        return resample(
            prediction,
            self.cropped_shape,
            self.plans.spacing,
            self.image_spacing,
            self.plans.resample_prediction,
        )

    def to_image(self, cropped: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """A mask of the crop's shape on the whole image (z, y, x), zero outside the crop."""
        forward = self.plans.transpose_forward
        mask = np.zeros([self.image_shape[axis] for axis in forward], np.uint8)
        mask[self.crop] = cropped
        return np.ascontiguousarray(mask.transpose(self.plans.transpose_backward))

    def mask(self, prediction: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
        """1 where a prediction in network space exceeds the threshold, on the image's grid (z, y, x)."""
        return self.to_image((self.to_crop(prediction) > threshold).astype(np.uint8))

    def point(self, xyz: tuple[float, float, float]) -> Shape:
        """The network's voxel for a point in the image's voxel indices (x, y, z).

        A point outside the crop goes to the crop's border. The position is scaled from the first
        voxel's index, not its edge, as autoPET-interactive does when it trains
        (`preprocess_point` in nnunetv2/training/dataloading/utils.py); unlike there, the crop's
        lower corner is subtracted once.
        """
        zyx = xyz[::-1]
        transposed = [zyx[axis] for axis in self.plans.transpose_forward]
        a, b, c = (
            round(min(max(0, position - crop.start), size) * (new_size / size))
            for position, crop, size, new_size in zip(
                transposed, self.crop, self.cropped_shape, self.shape, strict=True
            )
        )
        return a, b, c
