"""
What do keypoints give away?
============================

Panoramas, maps and image search keep descriptors of keypoints in place of photographs. Each
keypoint has a place, a scale, an angle and 128 numbers of SIFT. Together they determine most of the
photograph.
"""

import matplotlib.pyplot as plt
import skimage

import repinv
from repinv import metrics

# %%
# OpenCV finds the keypoints, and ``repinv.SIFT`` computes the descriptors that OpenCV computes. For
# keypoints and descriptors that are there, it is ``repinv.SIFT.opencv(keypoints)``.
photograph = skimage.data.camera()[::2, ::2]
found = {}
for count in (50, 150, 0):
    sift = repinv.SIFT.detect(photograph, n_features=count)
    descriptors = sift(photograph)
    result = repinv.invert(descriptors, sift, shape=photograph.shape, max_iter=200)
    found[len(descriptors)] = result.image, sift.coverage(photograph.shape)
    print(f"{len(descriptors):4d} keypoints: error {result.error[0]:.3%}, "
          f"NCC {metrics.ncc(result.image, photograph):.2f}")  # fmt: skip

# %%
# Below each pre-image is how strongly each pixel counts in the descriptors. No patch covers the
# black regions: the image there is a smooth continuation, and says nothing about the photograph.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
axes[0, 0].imshow(photograph, cmap="gray")
axes[0, 0].set_title("photograph")
for column, (count, (image, coverage)) in zip(axes.T[1:], found.items(), strict=True):
    column[0].imshow(image, cmap="gray", vmin=0, vmax=1)
    column[0].set_title(f"{count} keypoints")
    column[1].imshow(coverage**0.5, cmap="gray")
axes[1, 1].set_title("coverage")
for axis in axes.flat:
    axis.set_axis_off()
plt.show()
