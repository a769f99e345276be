"""
Invert a HOG that you already have
==================================

Features computed by scikit-image, years ago perhaps, and no photograph: what is left of it in them?
"""

# %%
# Features first. Nothing here imports ``repinv``.
import matplotlib.pyplot as plt
import numpy as np
import skimage

photograph = skimage.util.img_as_float32(skimage.data.camera()[::2, ::2])
features = skimage.feature.hog(photograph, orientations=9, feature_vector=False)
print(features.shape, features.dtype)

# %%
# :meth:`repinv.HOG.skimage` takes the options of ``skimage.feature.hog`` by their names there,
# and the features in the layout that it returns, or flat. The size of the image is needed as
# well: many sizes have features of this shape.
import repinv

hog = repinv.HOG.skimage(orientations=9)
result = repinv.invert(features, hog, shape=photograph.shape)
print(result)

# %%
# The image found has the same HOG, to a fraction of a per cent. It is not the photograph: HOG
# does not depend on what differs.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
result.plot(photograph, axes=axes)

# %%
# That can be checked without ``repinv``: computed again by scikit-image, the features of the
# pre-image are those that were given.


def error(image):
    """Relative error of the features that scikit-image computes."""
    again = skimage.feature.hog(image, orientations=9, feature_vector=False)
    return np.sum((again - features) ** 2) / np.sum(features**2)


print(f"{error(result.image):.2%}")

# %%
# Light and dark
# --------------
#
# Light and dark may be swapped in the pre-image, in all of it or in regions. Orientations over
# half a turn do not tell which side of an edge is bright, so an image and its negative have the
# same features. :attr:`repinv.Result.notes` says so where it applies:
print(result.notes[0])

# %%
# With ``polarity`` an image decides what is light. The photograph and its negative lead to two
# pre-images of opposite polarity, and both have the features that were given.
light, dark = (
    repinv.invert(features, hog, shape=photograph.shape, polarity=image).image
    for image in (photograph, 1 - photograph)
)
print(f"correlation of the two: {repinv.metrics.ncc(light, dark):.2f}")
assert repinv.metrics.ncc(light, dark) < -0.5
assert error(light) < 0.01
assert error(dark) < 0.01

figure, axes = plt.subplots(1, 2, figsize=(6.4, 3.9), layout="constrained")
for axis, image, name in zip(axes, (light, dark), ("photograph", "1 - photograph"), strict=True):
    axis.imshow(image, cmap="gray", vmin=0, vmax=1)
    axis.set_title(f"polarity={name}\nerror {error(image):.2%}", fontsize=9)
    axis.set_axis_off()

# %%
# The features alone do not distinguish them: whoever has no photograph gets by default an image
# whose large structures decide, and may look at ``1 - result.image`` as well.

# %%
# How it came about: the energy by evaluation, and what it is made of.
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values in result.trace.items():
    axis.semilogy(np.maximum(values[:, 0], 1e-7), label=name)
axis.set(xlabel="evaluation", ylabel="energy", ylim=(1e-6, None))
axis.legend(ncols=3)
figure.align_labels()
plt.show()
