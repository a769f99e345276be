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
# The paired dictionary of HOGgles and the ridge regression of the same paper ship with ``repinv``,
# learned from a few free photographs.
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
plt.show()
