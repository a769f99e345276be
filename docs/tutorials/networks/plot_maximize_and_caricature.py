"""
Activation maximization and caricatures
=======================================

Which image excites a component of a representation? And how does a photograph change if its
features are exaggerated?
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
import repinv_cnn

# %%
# What a class looks for
# ----------------------
#
# A small network for digits ships with ``repinv_cnn``. Its last layer has ten logits, one
# for each digit. A direction in their space is what is to grow: one logit less the mean of the
# others, so that the image is *more* this digit than any other. :func:`repinv.maximize` finds a
# natural-looking image that goes far along it. ``images`` are digits that were drawn, on which
# the scale is measured: a response of 1 is the largest of these hundred.
classes = repinv_cnn.from_digits("logits")
images, _ = repinv_cnn.digit_images()
found = []
for digit in range(10):
    direction = np.full(10, -1 / 9, np.float32)
    direction[digit] = 1
    found.append(repinv.maximize(classes, direction, shape=(32, 32), images=images[:100]))

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 5, figsize=(8, 4), layout="constrained")
for digit, (axis, result) in enumerate(zip(axes.flat, found, strict=True)):
    result.plot(axes=axis)
    axis.set_title(f"{digit}: {result.response[0]:.2f}", loc="left")

# %%
# What to notice
# --------------
#
# The network classifies each image as its digit, with a larger response than all digits that
# people drew: the number above it is larger than 1. All can be read. What tells a digit from the
# nine others is exaggerated, such as the open corners of the 5, the bar of the 4 and that of the
# 7. The strokes are thicker than a pen's, and they are light on a dark ground, as in the training
# data.
logits = np.stack([classes(result.image) for result in found])
assert (logits.argmax(axis=1) == np.arange(10)).all()
assert min(result.response[0] for result in found) > 1
assert all(result.image[[0, -1]].min() < result.image.mean() for result in found)

# %%
# Why there is a target
# ---------------------
#
# A logit has no largest value: twice the contrast of an image gives about twice the logit, and
# patterns that no photograph has give more. A run that raises it without end finds these. Here
# the loss is zero once the response is twice the best of the digits (``strength=2``), and the
# priors decide the rest (:doc:`/theory/energy`). With pixels in [0, 1] and priors these images
# come to about one and a half. The direction matters as well: a logit by itself also grows in an
# image that looks like several digits, and a difference does not.
#
# Networks of colour photographs
# ------------------------------
#
# Of these no such target is set: the margin of a class over all others is raised, through another
# random view of the image in every step (:class:`repinv.RandomView`), and only phases are
# optimized under the magnitudes of photographs' spectra (:class:`repinv.Phase`). These are twelve
# classes of EfficientNet-Lite0, found by ``python benchmarks/maximize.py --sheet twelve.png``,
# which needs its weights: bald eagle, lion, monarch, giant panda; tandem bicycle, cannon,
# fountain, pickup truck; soccer ball, vase, traffic light, daisy. :doc:`/benchmarks` says how
# sure two other networks are of each; of the pickup truck and the daisy they are not.
#
# .. image:: /maximize.jpg
#    :alt: Twelve images that excite classes of EfficientNet-Lite0

# %%
# What a representation sees in a photograph
# ------------------------------------------
#
# A caricature starts from a photograph, and raises the response along the photograph's own
# features. ``strength`` is how much: 0 is the photograph, 1 is twice its response. A pull to the
# photograph keeps the image from drifting to another one.
photograph = skimage.color.rgb2gray(skimage.data.astronaut())[0:192:2, 128:320:2].astype("float32")
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
drawn = {s: repinv.caricature(photograph, hog, strength=s, max_iter=150) for s in (0.2, 0.5, 1.0)}
figure, axes = plt.subplots(1, 4, figsize=(10.5, 3), layout="constrained")
axes[0].imshow(photograph, cmap="gray", vmin=0, vmax=1)
axes[0].set_title("photograph", loc="left")
axes[0].set_axis_off()
for axis, (strength, result) in zip(axes[1:], drawn.items(), strict=True):
    result.plot(photograph, axes=axis)
    axis.set_title(f"strength {strength}\nresponse {result.response[0]:.2f}", loc="left")

# %%
# The stronger, the further the image goes from the photograph, while the response soon stops
# growing. HOG normalizes its blocks, so that a strong edge gains nothing by more contrast. What
# grows are gradients that were too weak to be seen: the wall on the left, even in the photograph,
# is covered with a texture, and hair and collar break up into single lines. A caricature shows
# what a representation responds to and the eye does not.
likeness = [repinv.metrics.ssim(result.image, photograph) for result in drawn.values()]
print("SSIM to the photograph:", ", ".join(f"{value:.2f}" for value in likeness))
assert likeness == sorted(likeness, reverse=True)
assert max(result.response[0] for result in drawn.values()) < 1.5
wall = slice(0, 32), slice(0, 20)
texture = [np.diff(image[wall]).std() for image in (photograph, drawn[1.0].image)]
print(f"differences of neighbours on the wall: {texture[0]:.3f}, then {texture[1]:.3f}")
assert texture[1] > 1.5 * texture[0]

# %%
# **Try it** with ``repinv.DSIFT.natural()`` in place of the HOG, or with a channel of a layer of
# yours: ``repinv.maximize(repinv_cnn.TorchEncoder(model, "layer3"), 5, shape=(224, 224, 3))``.
# **Next**: :ref:`sphx_glr_gallery_learning_plot_linear_classifier.py` does the same with a linear
# classifier on HOG.

plt.show()
