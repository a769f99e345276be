"""
Two representations disagree
============================

Images that are equally far from a photograph in their pixels may be near to it or far from it in
their HOG.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv

# %%
# Both images on the right have the same mean squared error. HOG calls one of them nearly equal to
# the photograph, and the other one very different.
photograph = skimage.util.img_as_float(skimage.data.camera()[104:200, 160:256])
hog = repinv.HOG.vlfeat(bilinear_orientations=True)


def squared_error(x, reference):
    """Mean squared error and its gradient."""
    apart = x - reference
    return np.mean(apart**2), 2 * apart / apart.size


found = repinv.mad(squared_error, hog, photograph, noise=0.05, max_iter=150)

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
found.plot(axes=axes)
plt.show()

# %%
# Maximal differentiation
# -----------------------
#
# Wang and Simoncelli compared measures of image quality in this way (`doi:10.1167/8.12.8
# <https://doi.org/10.1167/8.12.8>`_). One distance is held at a value, here that of white noise
# of a standard deviation of 0.05. The other distance is made as small and as large as possible.
# Neither could change if both distances were functions of each other. An observer who looks at
# the pair decides which of the two distances describes better what is seen.
#
# In the nearest image the noise is gone from smooth areas, and contrast has changed instead,
# which HOG does not notice. In the farthest one, textures of low contrast cover areas that were
# nearly flat. HOG divides by the norm of each block, so that these textures count as much as
# edges. The mean squared error is the same for both.
#
# What to do with such a pair: if you need a measure of how like two images are, look at both, and
# decide which is more like the photograph to you. The representation that has this one nearer is
# the better measure for your purpose. Such a pair is made to be the hardest case, which averages
# over noise and blur do not contain.
#
# :func:`repinv.mad` takes encoders, whose distance is the squared difference of their features,
# or functions that return a distance and its gradient. Every image that it evaluates has the
# distance that is held.
np.testing.assert_allclose(found.distances_a, found.held, rtol=1e-3)
print(found)
print(f"the farthest is {found.ratio:.0f} times as far as the nearest, by HOG")
assert found.ratio > 100

# %%
# HOG and SIFT
# ------------
#
# HOG and dense SIFT are both made of histograms of gradients. Still they disagree: at an equal
# distance by HOG, one image looks like the photograph, and the other has lost it. HOG is bounded,
# since its blocks are normalized, and the distance of noise is large; at this distance the pixels
# of an image may take any value.
sift = repinv.DSIFT.vlfeat(step=6)
between = repinv.mad(hog, sift, photograph, noise=0.05, max_iter=100)
figure, axes = plt.subplots(1, 4, figsize=(11, 3.2), layout="constrained")
between.plot(axes=axes)
plt.show()
print(f"the farthest is {between.ratio:.1f} times as far as the nearest, by dense SIFT")
np.testing.assert_allclose(between.distances_a, between.held, rtol=1e-3)
assert between.ratio > 10

# %%
# The other way round, the distance by dense SIFT is held, and that by HOG is driven apart.
other = repinv.mad(sift, hog, photograph, noise=0.05, max_iter=100)
print(f"the farthest is {other.ratio:.1f} times as far as the nearest, by HOG")
assert other.ratio > 100

# %%
# **Try it** with ``repinv.BoVW.pretrained(256)`` in place of dense SIFT, or with a function that
# returns 1 − SSIM and its gradient. **Next**:
# :ref:`sphx_glr_gallery_shallow_plot_what_hog_cannot_see.py` follows changes that HOG does not
# notice at all; :doc:`/theory/distortions` has the algorithm.
