"""
What HOG cannot see
===================

A photograph may be changed a great deal without a change of its HOG.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
import repinv_cnn

# %%
# These images have the same HOG, to a tenth of a percent. The last picture is the difference of
# the last image from the photograph.
photograph = skimage.util.img_as_float(skimage.data.camera()[100:228, 150:278])
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
walk = repinv.walk(photograph, hog, amount=0.08)

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
walk.plot(axes=axes)
plt.show()

# %%
# What the derivative says
# ------------------------
#
# A small change v of an image changes its features by J v, where J is the derivative of the
# features at that image. The squared length of this change is ‖J v‖² = vᵀJᵀJ v. For a change of
# unit norm it is largest along the eigenvector of JᵀJ of the largest eigenvalue λ, and there it
# is λ itself. Along the eigenvector of the smallest eigenvalue it is smallest. Such changes are
# called eigendistortions; Berardino and others used them to test models of human vision
# (`arXiv:1710.02266 <https://arxiv.org/abs/1710.02266>`_).
#
# :func:`repinv.eigendistortions` finds both ends. It needs products with J and with its transpose
# only. The transpose is the encoder's pullback. For HOG the product with J is a difference of
# features; for layers of networks it is computed by torch's forward mode.
found = repinv.eigendistortions(hog, photograph, largest=2, smallest=2, tol=1e-4)
print(found)
figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
found.plot(axes=axes)
plt.show()

# %%
# The two ends differ by a factor of more than a million. The most noticed changes are small and
# lie where the photograph is nearly flat: HOG divides each block of cells by its norm, so that a
# change of a few gray levels decides what a flat block contains. The least noticed change has a
# large constant part: HOG is made of gradients, and a constant has none.
assert found.eigenvalues[0] > 1e6 * found.eigenvalues[-1]
brightness = np.abs(found.smallest[0].mean()) * np.sqrt(photograph.size)
print(f"share of the mean in the least noticed change: {brightness:.2f}")
assert brightness > 0.5

# %%
# How many directions are not seen
# --------------------------------
#
# This photograph has 16 384 pixels, and its HOG has 7 936 numbers. J maps the pixels to these
# numbers, so at least 8 448 independent changes are not noticed at all: the null space of J. No
# direction in it is the smallest. The ones that are found here are random images with the
# spectrum of photographs, projected onto directions that do not change the features; another
# ``seed`` gives others.
n_features = hog(photograph).size
print(f"{photograph.size} pixels, {n_features} features")
assert photograph.size - n_features == 8448

# %%
# The null space turns as the image changes. A straight line along one of its directions leaves it
# soon:
length = np.sqrt(np.mean(found.smallest[1] ** 2))
straight = photograph + 0.08 * found.smallest[1] / length
before = hog(photograph)
apart = np.sum((hog(np.clip(straight, 0, 1)) - before) ** 2) / np.sum(before**2)
print(f"relative feature error along a straight line: {apart:.1%}")
assert apart > 10 * walk.errors.max()

# %%
# :func:`repinv.walk` therefore takes short steps. After each it minimizes the distance of the
# features from those of the photograph, as an inversion does, and so it returns to the images
# that have the same HOG. Every image of the walk is within the tolerance, not only the last.
assert walk.errors.max() <= 1e-3
assert walk.distances[-1] >= 0.08
print(walk)

# %%
# Where and at which frequencies
# ------------------------------
#
# :func:`repinv.sensitivity` averages over all directions. The map is the diagonal of JᵀJ: the
# mean squared change of the features for a change of one pixel. The spectrum is the same for
# cosines. Each curve is in units of its mean. The layers are those of the network of digits that
# ships with ``repinv_cnn``.
encoders = {
    "HOG": hog,
    "dense SIFT": repinv.DSIFT.vlfeat(step=4),
    "words": repinv.BoVW.pretrained(256, grid=(4, 4)),
}
network = repinv_cnn.digits_network()
for layer in ("relu1", "relu3"):
    encoders[f"digits, {layer}"] = repinv_cnn.TorchEncoder(network, layer, channels=1)
seen = {name: repinv.sensitivity(one, photograph) for name, one in encoders.items()}

figure, axes = plt.subplots(2, 3, figsize=(10, 6.4), layout="constrained")
for axis, (name, one) in zip(axes.flat, seen.items(), strict=False):
    axis.imshow(np.log10(one.map + 1e-6 * one.map.max()), cmap="gray")
    axis.set_title(name)
    axis.set_axis_off()
for name, one in seen.items():
    axes[1, 2].loglog(one.frequencies, one.spectrum / (one.trace / one.map.size), label=name)
axes[1, 2].set(xlabel="cycles per pixel", title="sensitivity")
axes[1, 2].legend(fontsize="small")
plt.show()

# %%
# HOG, SIFT and words notice high frequencies more than low ones. The layers have a band: strokes of
# digits are several pixels wide, and each convolution takes every other position only. The deeper
# layer has its band at a lower frequency, and nearly ignores details of a few pixels.
for name in ("HOG", "dense SIFT", "words"):
    assert seen[name].spectrum[-3] > seen[name].spectrum[0]
for name in ("digits, relu1", "digits, relu3"):
    assert seen[name].spectrum.max() > 3 * seen[name].spectrum[-1]
peaks = {name: one.frequencies[np.argmax(one.spectrum)] for name, one in seen.items()}
print({name: f"{peak:.2f} cycles per pixel" for name, peak in peaks.items()})
assert peaks["digits, relu3"] < peaks["digits, relu1"]

# %%
# **Try it**: ``repinv distort photo.jpg -e hog.vlfeat --figure changes.png --movie walk.gif`` does
# the same for a file. **Next**:
# :ref:`sphx_glr_gallery_shallow_plot_two_representations_disagree.py` sets two representations
# against each other.
