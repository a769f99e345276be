"""
HOGgles beside pre-images
=========================

HOGgles show an average of training patches whose HOG was like the one given. A pre-image is found
by a search until its HOG is nearly the one given. The two show different things.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
from repinv.inverters import PairedDictionary, Ridge

# %%
# The paired dictionary of HOGgles and the ridge regression of the same paper ship with
# ``repinv``, learned from a few free photographs.
photograph = skimage.color.rgb2gray(skimage.data.astronaut()[0:384:2, 64:448:2]).astype("float32")
hog = repinv.HOG.vlfeat()
methods = [
    repinv.Method(PairedDictionary.pretrained(1024), name="HOGgle"),
    repinv.Method(Ridge.pretrained(), name="ridge regression"),
    repinv.Method(hog, name="pre-image"),
    repinv.Method(hog, {"prior": "learned"}, name="learned prior"),
]
table = repinv.compare(photograph, methods, max_iter=800)
print(table)

# %%
# What HOGgles draw has another HOG than the photograph; the titles say how different. A pre-image
# has nearly the same, to a fraction of a per cent; where it differs from the photograph, HOG does
# not determine the image.

# sphinx_gallery_thumbnail_number = 1
table.plot()

# %%
# The codes of HOGgles are a representation too. What do they keep? :class:`repinv.HOGgle` is an
# encoder, and is inverted like all others. Beside the image found is the one that the dictionary
# decodes from the code:
small = photograph[8:104, 56:152]
hoggle = repinv.HOGgle.pretrained(256)
code = hoggle(small)
result = repinv.invert(code, hoggle, shape=small.shape, max_iter=200)
decoded = hoggle.decode(code, small.shape)
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.2), layout="constrained")
result.plot(small, encoder_picture=False, axes=axes[:2])
axes[2].imshow(repinv.metrics.affine_match(decoded, small).clip(0, 1), cmap="gray")
axes[2].set_title("decoded, contrast matched", loc="left", fontsize=9)
axes[2].set_axis_off()
axes[2].set_anchor("N")

# %%
# What to notice
# --------------
#
# The pre-image is met a hundred times more nearly than HOGgle's picture, and looks more like the
# photograph; HOGgle's picture is smooth where the pre-image has texture. The picture that the
# dictionary decodes is no pre-image of its own code either: encoded again it is as far from the
# code as an image without features would be. A sparse code says which atoms explain a HOG, and
# which these are jumps as the image changes; so a few per cent remain even where it is inverted.

error = {row.name: row.error for row in table.rows}
print({name: f"{100 * value:.2g} %" for name, value in error.items()})
assert error["pre-image"] < 0.01 * error["HOGgle"]
again = hoggle(np.clip(decoded, 0, 1).astype(np.float32))
of_decoded = np.sum((again - code) ** 2) / np.sum(code**2)
print(f"error of the code {result.error[0]:.0%}, of the decoded picture {of_decoded:.0%}")
assert result.error[0] < 0.3 * of_decoded

# %%
# An average, or a search
# -----------------------
#
# HOGgles [1]_ show what training patches with such a HOG looked like. This is an average, by one
# sparse code for each window, or by one matrix product in the ridge regression, which takes a
# hundredth of the time. A pre-image is an image that has this HOG, and the error says how nearly.
# A detector's false alarm looks like the object in both. With HOGgles this can come from the
# dictionary, which was learned from objects; with a pre-image it cannot.
#
# The learned prior stands between: a network restores a rough pre-image, and
# the solver then brings the features back. It changes what features do not determine.
#
# **Try it**: ``repinv fit hoggle FOLDER --out dictionary.npz`` learns from images of yours, and
# ``initial=inverter`` starts an inversion from its picture. **Next**:
# :ref:`sphx_glr_gallery_learning_plot_linear_classifier.py` shows what a detector looks for.
#
# .. [1] Vondrick et al., "HOGgles: visualizing object detection features", ICCV 2013.

plt.show()
