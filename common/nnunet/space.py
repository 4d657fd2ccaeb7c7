"""Transformation between image space and network space: transpose, crop, resample."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.geometry import triple
from common.nnunet.plans import Plans, Resampling
from common.nnunet.resample import Shape, Spacing, resample

Crop = tuple[slice, slice, slice]


@dataclass(frozen=True)
class NetworkSpace:
    """The position of the network's volume in the image.

    Except for `image_shape`, axes are those of the network: (z, y, x) of the image after `transpose_forward`.
    """

    plans: Plans
    image_shape: Shape
    """Shape of the image, (z, y, x)."""
    image_spacing: Spacing
    """Voxel spacing of the image, transposed, in mm."""
    crop: Crop
    """The non-zero region of the transposed image."""
    shape: Shape
    """Shape in network space, after resampling to the plans' spacing."""

    @property
    def cropped_shape(self) -> Shape:
        """Shape of the crop before resampling."""
        return triple(s.stop - s.start for s in self.crop)

    def from_image(self, volume: NDArray[np.float32], how: Resampling) -> NDArray[np.float32]:
        """Transpose, crop and resample a volume (z, y, x) from the image's grid to network space."""
        cropped = volume.transpose(self.plans.transpose_forward)[self.crop]
        return resample(cropped, self.shape, self.image_spacing, self.plans.spacing, how)

    def to_crop(self, prediction: NDArray[np.float32]) -> NDArray[np.float32]:
        """Resample a prediction from network space to the crop's shape."""
        return resample(
            prediction,
            self.cropped_shape,
            self.plans.spacing,
            self.image_spacing,
            self.plans.resample_prediction,
        )

    def to_image(self, cropped: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Insert a mask of the crop's shape into the image's grid (z, y, x), zero outside the crop."""
        forward = self.plans.transpose_forward
        mask = np.zeros([self.image_shape[axis] for axis in forward], np.uint8)
        mask[self.crop] = cropped
        return np.ascontiguousarray(mask.transpose(self.plans.transpose_backward))

    def mask(self, prediction: NDArray[np.float32], threshold: float) -> NDArray[np.uint8]:
        """Resample a prediction to the image's grid (z, y, x) and threshold it to a mask."""
        return self.to_image((self.to_crop(prediction) > threshold).astype(np.uint8))

    def point(self, xyz: tuple[float, float, float]) -> Shape:
        """Return the voxel in network space of a point in voxel indices (x, y, z) of the image.

        A point outside the crop is moved to its border. The index is scaled relative to the centre of the
        first voxel, not its edge, as in the training of autoPET-interactive (`preprocess_point` in
        nnunetv2/training/dataloading/utils.py); unlike there, the crop's lower corner is subtracted once.
        """
        zyx = xyz[::-1]
        transposed = [zyx[axis] for axis in self.plans.transpose_forward]
        return triple(
            round(min(max(0, position - crop.start), size) * (new_size / size))
            for position, crop, size, new_size in zip(
                transposed, self.crop, self.cropped_shape, self.shape, strict=True
            )
        )
