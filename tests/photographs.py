"""Photographs that tests share; all are inside scikit-image's wheel."""

import numpy as np
import skimage

#: The camera man, (512, 512), in [0, 1].
CAMERA = (skimage.data.camera() / 255).astype(np.float32)
#: Every eighth pixel of it, (64, 64), uint8.
THUMBNAIL = skimage.data.camera()[::8, ::8]
#: The same of the astronaut, (64, 64, 3), uint8.
COLOUR = skimage.data.astronaut()[::8, ::8]
#: His face as it is, (64, 64), in [0, 1].
FACE = skimage.data.camera()[150:214, 180:244].astype(np.float32) / 255
#: Means over 4x4 pixels about it, (64, 64), float64, in [0, 1].
SMALL = skimage.data.camera()[60:316, 180:436].reshape(64, 4, 64, 4).mean(axis=(1, 3)) / 255
