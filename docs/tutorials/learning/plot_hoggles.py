"""
HOGgles beside pre-images
=========================

HOGgles show the patches that windows of HOG were seen with in training. A pre-image is searched
until its HOG is the one given. They answer different questions.
"""

import matplotlib.pyplot as plt
import skimage

import repinv
from repinv.inverters import PairedDictionary, Ridge

# %%
# The paired dictionary of HOGgles and the ridge regression of the same paper ship with
# ``repinv``, learned from a few free photographs.
photograph = skimage.util.img_as_float32(skimage.data.camera()[::2, ::2])
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
# has the same to a fraction of a per cent, and whatever is wrong in it is what HOG cannot see.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), layout="constrained")
table.plot(axes=axes)

# %%
# The codes of HOGgles are a representation too. What do they keep? :class:`repinv.HOGgle` is an
# encoder, and is inverted like all others.
small = photograph[24:88, 40:136]
hoggle = repinv.HOGgle.pretrained(256)
code = hoggle(small)
result = repinv.invert(code, hoggle, shape=small.shape, max_iter=200)
figure, axes = plt.subplots(1, 3, figsize=(8.5, 2.4), layout="constrained")
shown = (
    (small, "photograph"),
    (hoggle.decode(code, small.shape), "decoded"),
    (result.image, "same code"),
)
for axis, (image, title) in zip(axes, shown, strict=True):
    axis.imshow(image, cmap="gray")
    axis.set_title(title)
    axis.set_axis_off()

# %%
# What to notice
# --------------
#
# The pre-image is met a hundred times more nearly than HOGgle's picture, and looks more like the
# photograph; HOGgle's picture is smooth where the pre-image has texture. Of its own code, the
# image found on the right is as good a member as the picture that the dictionary decodes.

error = {row.name: row.error for row in table.rows}
print({name: f"{100 * value:.2g} %" for name, value in error.items()})
assert error["pre-image"] < 0.01 * error["HOGgle"]

# %%
# Two questions
# -------------
#
# HOGgles [1]_ answer: what did patches look like that had such a HOG when I was trained? The
# answer is an average, at once, in one matrix product or one sparse code. A pre-image answers:
# which image has this HOG? It takes a thousand times longer and is right by construction. A
# detector's false alarm looks like the object in both; with HOGgles one can suspect the
# dictionary, which knows objects, with a pre-image one cannot.
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
