"""
How much does a bag of words forget?
====================================

As its cells grow, a bag of words forgets where things were; then also what they were.
"""

import matplotlib.pyplot as plt
import skimage

import repinv
from repinv import metrics

# %%
# The same 256 words of dense SIFT, counted in ever larger cells.
photograph = skimage.util.img_as_float32(skimage.data.camera()[24:216:2, 90:282:2])
found = {}
for side in (12, 6, 3, 1):
    bag = repinv.BoVW.pretrained(256, grid=(side, side))
    features = bag(photograph)
    found[side] = repinv.invert(features, bag, shape=photograph.shape, max_iter=200)
    print(f"{side}x{side} cells, {features.size:6d} numbers: error {found[side].error[0]:.2%}, "
          f"NCC {metrics.ncc(found[side].image, photograph):.2f}")  # fmt: skip

# %%
# A single bag is met exactly by an image that has the same words in all the wrong places.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(photograph, cmap="gray")
axes[0].set_title("photograph")
for axis, (side, result) in zip(axes[1:], found.items(), strict=True):
    axis.imshow(result.image, cmap="gray")
    axis.set_title(f"{side}x{side} cells")
for axis in axes:
    axis.set_axis_off()
plt.show()
