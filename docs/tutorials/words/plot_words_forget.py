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
# The pictures, from the finest grid to a single bag:

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
axes[0].imshow(photograph, cmap="gray")
axes[0].set_title("photograph")
for axis, (side, result) in zip(axes[1:], found.items(), strict=True):
    axis.imshow(result.image, cmap="gray")
    axis.set_title(f"{side}x{side} cells")
for axis in axes:
    axis.set_axis_off()

# %%
# What to notice
# --------------
#
# A single bag is met by an image that has the same words in all the wrong places. Its error is as
# small as the others': the code does not need more. With 3x3 cells large shapes are where they
# were, and parts of them are not.

likeness = {side: metrics.ncc(result.image, photograph) for side, result in found.items()}
assert likeness[12] > likeness[3] > likeness[1]
assert max(result.error[0] for result in found.values()) < 0.2

# %%
# What a word looks like
# ----------------------
#
# A word is a cluster of descriptors, and a picture of it is its average descriptor. Most are
# edges of some direction, some are corners, and a few are flat: these take most of a sky.

bag = repinv.BoVW.pretrained(256, grid=(1, 1))
counts = bag(photograph).ravel()
order = counts.argsort()[::-1]
share = counts[order[:10]].sum() / counts.sum()
print(f"the ten most frequent of 256 words make up {share:.0%} of the photograph")
assert share > 0.1
figure = bag.plot(bag(photograph))

# %%
# Why
# ---
#
# To count is to give up order. Within a cell any permutation of the descriptors has the same
# histogram, as far as neighbouring descriptors, which overlap, allow it: that is why edges still
# join up in the image of a single bag. Classifiers of the 2000s were built on such codes, with
# pyramids of cells to bring back some order (``repinv.BoVW(..., grid=…)`` takes several grids).
#
# Words are assigned softly here, by distance; ``assignment="hard"`` counts the nearest alone,
# which is harder to invert and shows less.
#
# **Try it** with ``repinv.BoVW.pretrained(1024)``, or with words of your own images,
# ``repinv.BoVW.fit(folder, repinv.DSIFT.vlfeat(step=5, size=5))``. **Next**:
# :ref:`sphx_glr_gallery_shallow_plot_keypoint_sift.py` gives up the grid in another way.

plt.show()
