"""
Invert a HOG that you already have
==================================

You have features that scikit-image computed, but not the photograph. What do they show of it?
"""

# %%
# Features, and nothing else
# --------------------------
#
# Features first. Nothing here imports ``repinv``.
import numpy as np
import skimage

photograph = skimage.util.img_as_float32(skimage.data.coffee()[8:392:2, 100:484:2]).mean(axis=-1)
features = skimage.feature.hog(photograph, orientations=9, feature_vector=False)
print(features.shape, features.dtype)

# %%
# The shape is that of 22x22 blocks of 3x3 cells with nine orientations each. A cell is eight pixels
# wide, and a bin says how much gradient of one orientation it holds, relative to the block.
#
# :meth:`repinv.HOG.skimage` takes the options of ``skimage.feature.hog`` by their names there,
# and the features in the layout that it returns, or flat. The size of the image is needed as
# well: many sizes have features of this shape.
import repinv

hog = repinv.HOG.skimage(orientations=9)
result = repinv.invert(features, hog, shape=photograph.shape)
print(result)

# sphinx_gallery_thumbnail_number = 1
figure = result.plot(photograph)

# %%
# What to notice
# --------------
#
# The image on the right has the same HOG, to about a per cent. The cup, its handle, the spoon
# and the saucer are there, although the bars in the middle hardly show them: the eye does not join
# bars of neighbouring cells to contours, and the search has to, since one image must explain all
# of them. What is missing are the fine lines of the wood, which are thinner than a cell. And the
# grays are not those of the photograph.
assert result.error[0] < 0.02

# %%
# That the features agree can be checked without ``repinv``. Computed again by scikit-image, those
# of the pre-image are the ones that were given:


def error(image):
    """Relative error of the features that scikit-image computes."""
    again = skimage.feature.hog(image, orientations=9, feature_vector=False)
    return np.sum((again - features) ** 2) / np.sum(features**2)


print(f"{error(result.image):.2%}")
assert np.isclose(error(result.image), result.error[0], rtol=1e-2)

# %%
# Light and dark
# --------------
#
# Orientations over half a turn do not tell which side of an edge is bright, so an image and its
# negative have the same features. :attr:`repinv.Result.notes` says so where it applies:
print(result.notes[0])

# %%
# With ``polarity`` an image decides what is light. The photograph and its negative lead to two
# pre-images of opposite polarity, and both have the features that were given.
import matplotlib.pyplot as plt

both = {
    name: repinv.invert(features, hog, shape=photograph.shape, polarity=image)
    for name, image in {"photograph": photograph, "1 - photograph": 1 - photograph}.items()
}
figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.7), layout="constrained")
for axis, (name, found) in zip(axes, both.items(), strict=True):
    found.plot(axes=axis)
    axis.set_title(f"polarity={name}\nerror {found.error[0]:.2%}", loc="left")

light, dark = (found.image for found in both.values())
print(f"correlation of the two: {repinv.metrics.ncc(light, dark):.2f}")
assert repinv.metrics.ncc(light, dark) < -0.5
assert max(found.error[0] for found in both.values()) < 0.02

# %%
# The features alone do not distinguish them. Without ``polarity`` a network that was learned from
# photographs decides here; where none ships, the image or its negative is kept, whichever has
# grays that are likelier those of a photograph. If all of the image is swapped,
# ``1 - result.image`` is the other; if regions are swapped, only ``polarity=photograph`` helps.
#
# How it came about
# -----------------
#
# A run starts from noise of low contrast, and minimizes an energy: the squared distance of the
# features (*data*), and two weak priors, on the range of pixels and on contrast. With
# ``trace=True`` they are drawn by evaluation of the encoder.
figure = result.plot(photograph, trace=True)

# %%
# The data term falls fast at first, when large shapes are found, and slowly later, when details
# are. Steps in the curves are where a stage of the run ends and another one begins: scikit-image's
# bins are hard, a pixel counts for one orientation alone, and the first stages take a smoothed
# version of them (:doc:`/theory/solver`). The error that is printed is always that of the true
# features.
data = result.trace["data"][:, 0]
assert data[50] < 0.2 * data[0]
assert data.min() < 0.5 * data[50]

# %%
# **Try it** with larger cells, ``pixels_per_cell=(16, 16)`` on both sides, and with a vector of
# your own: :doc:`/howto/skimage` reads it from a file. **Next**:
# :ref:`sphx_glr_gallery_shallow_plot_looks_wrong.py` if the picture is not what you expected.
