"""
What is a pre-image?
====================

A representation turns an image into numbers. A **pre-image** of these numbers is any image that has
them. Below, the picture on the right was found from the numbers in the middle alone.
"""

# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv

photograph = skimage.util.img_as_float32(skimage.data.chelsea()[20:276, 110:366]).mean(axis=-1)
hog = repinv.HOG.vlfeat(cell_size=8)
features = hog(photograph)
result = repinv.invert(features, hog, shape=photograph.shape)
figure = result.plot(photograph)

# %%
# The middle shows histograms of oriented gradients (HOG): for each cell of 8x8 pixels, how much
# edge there is in which direction. Write :math:`\Phi` for the representation and :math:`\Phi_0 =
# \Phi(x_0)` for the numbers of the photograph :math:`x_0`. A pre-image is an :math:`x` with
# :math:`\Phi(x) = \Phi_0`. How nearly that holds is the relative error,
#
# .. math:: \frac{\lVert \Phi(x) - \Phi_0 \rVert^2}{\lVert \Phi_0 \rVert^2}.

print(f"relative error of the image on the right: {100 * result.error[0]:.2f} %")
assert result.error[0] < 0.01

# %%
# For the encoder the two images are nearly the same, although you see differences. What differs
# between them is not in the features. So a pre-image shows what a representation keeps of the
# photograph: what the two images have in common.
#
# Many images for one code
# ------------------------
#
# There is not one pre-image but many. Four runs from different noise end at four images, whose
# HOG agrees with the photograph's to within 2 %:

several = repinv.invert(features, hog, shape=photograph.shape, n_preimages=4, max_iter=200)
assert (several.error < 0.02).all()
figure, axes = plt.subplots(1, 5, figsize=(11, 2.5), layout="constrained")
for axis, image in zip(axes, several.images, strict=False):
    axis.imshow(repinv.metrics.affine_match(image, photograph), cmap="gray", vmin=0, vmax=1)
axes[4].imshow(several.spread, cmap="magma")
for axis, title in zip(axes, [f"start {k}" for k in range(4)] + ["spread"], strict=True):
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()

# %%
# The spread on the right is the standard deviation of every pixel over the four images. It is
# bright where they differ: in the fur, along the whiskers and in rings around the eyes. There the
# code leaves pixels undetermined. It is dark where they are alike, as beside the nose.
#
# What is lost
# ------------
#
# Each pair below has equal features for the representation named above it, although the images
# differ:
#
# - *sign*: scikit-image's HOG takes orientations over half a turn. A negative has the same HOG.
# - *contrast*: blocks are normalized. Half the contrast changes nothing but what is next to flat.
# - *position*: a bag of visual words counts what there is, not where. Four quarters of a
#   photograph put in another order have nearly the same counts; only words across the seams are
#   new.
#
# Colour is lost as well. Here all of them take gray images. ``HOG.vlfeat``, ``HOG.dpm`` and
# ``HOG.opencv`` also take (H, W, 3), and use at each pixel the channel with the strongest
# gradient, so that the colour itself is not in the features.

unsigned = repinv.HOG.skimage()
words = repinv.BoVW.pretrained(256, assignment="soft", grid=(1, 1))
top, bottom = np.split(photograph, 2)
quarters = np.vstack([np.roll(bottom, 128, axis=1), np.roll(top, 128, axis=1)])
pairs = {
    "sign\nHOG.skimage": (unsigned, photograph, 1 - photograph),
    "contrast\nHOG.vlfeat": (hog, photograph, 0.25 + photograph / 2),
    "position\nwords, one cell": (words, photograph, quarters),
}


def apart(encoder, one, other):
    """Relative squared distance of the features of two images."""
    a, b = encoder(one), encoder(other)
    return float(np.sum((a - b) ** 2) / np.sum(a**2))


figure, axes = plt.subplots(2, 3, figsize=(7.5, 5.6), layout="constrained")
for column, (title, (encoder, one, other)) in zip(axes.T, pairs.items(), strict=True):
    distance = apart(encoder, one, other)
    assert distance < 0.05
    for axis, image in zip(column, (one, other), strict=True):
        axis.imshow(image, cmap="gray", vmin=0, vmax=1)
        axis.set_axis_off()
    column[0].set_title(title, fontsize=9)
    column[1].set_title(f"features differ by {100 * distance:.2g} %", fontsize=9)

# %%
# What the priors add
# -------------------
#
# If many images have the code, which one is shown? A minimum of an *energy*: the error, plus
# *priors* that are small for images like photographs. Without them, and with every pixel a
# variable of its own, the first image that fits is found. Its HOG is as near to the target, but
# shading over larger distances is missing, and every pixel has noise that hardly changes HOG:

plain = repinv.invert(
    features, hog, shape=photograph.shape, parametrization=repinv.Pixels(), priors=()
)
ncc = [repinv.metrics.ncc(image, photograph) for image in (plain.image, result.image)]
print(f"error without priors: {100 * plain.error[0]:.2f} %")
print(f"likeness (NCC) without and with: {ncc[0]:.2f}, {ncc[1]:.2f}")
assert ncc[1] > ncc[0]
figure, axes = plt.subplots(1, 3, figsize=(8, 3), layout="constrained")
shown = {"photograph": photograph, "pixels, no priors": plain.image, "as by default": result.image}
for axis, (title, image) in zip(axes, shown.items(), strict=True):
    axis.imshow(repinv.metrics.affine_match(image, photograph), cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()

# %%
# The default is a spectrum in which low frequencies are large, as in photographs, and two weak
# priors, on the range of pixels and on contrast. These are assumptions: what they fill in was not
# in the code. But neither spectrum nor priors hold the form of an object. The cat that you
# recognise in the pre-image was therefore determined by the code.
#
# Codes of fewer numbers
# ----------------------
#
# The same photograph by ever larger cells, with votes that two orientations share. Each step
# leaves a quarter of the numbers:

figure, axes = plt.subplots(1, 5, figsize=(11, 2.6), layout="constrained")
likeness = []
for axis, side in zip(axes, (None, 8, 16, 32, 64), strict=True):
    image, title = photograph, "photograph"
    if side:
        coarse = repinv.HOG.vlfeat(cell_size=side, bilinear_orientations=True)
        code = coarse(photograph)
        image = repinv.invert(code, coarse, shape=photograph.shape, max_iter=200).image
        likeness.append(repinv.metrics.ncc(image, photograph))
        title = f"cells of {side}\n{code.size:,} numbers"
    axis.imshow(repinv.metrics.affine_match(image, photograph), cmap="gray", vmin=0, vmax=1)
    axis.set_title(title, fontsize=9)
    axis.set_axis_off()
assert likeness == sorted(likeness, reverse=True)

# %%
# **Try it**: put a photograph of yours in place of the cat, and ``repinv.DSIFT.natural()`` in
# place of the HOG. **Next**: :ref:`sphx_glr_gallery_shallow_plot_first_inversion.py` takes
# features that scikit-image has computed; :doc:`/theory/energy` writes the energy down.

plt.show()
