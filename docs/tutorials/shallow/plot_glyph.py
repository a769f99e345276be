"""
Reading a HOG glyph
===================

A glyph draws each cell as a star of bars along edges. It shows the orientations that HOG stores,
but images that look very different can have glyphs that look alike.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv

# %%
# A disc, a checkerboard, and a photograph. Bars lie along edges, across the gradient, and are as
# bright as there is gradient of that orientation, relative to the cells around.
rows, columns = np.mgrid[:96, :96]
disc = (np.hypot(rows - 48, columns - 48) < 30).astype(np.float32)
board = ((rows // 16 + columns // 16) % 2).astype(np.float32)
cat = skimage.color.rgb2gray(skimage.data.chelsea())[40:232:2, 120:312:2].astype(np.float32)
hog = repinv.HOG.vlfeat(cell_size=8)

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 3, figsize=(8, 5.4), layout="constrained")
for column, (image, title) in enumerate(((disc, "disc"), (board, "board"), (cat, "cat"))):
    axes[0, column].imshow(image, cmap="gray")
    axes[0, column].set_title(title)
    hog.plot(hog(image), axes=axes[1, column])
for axis in axes.flat:
    axis.set_axis_off()

# %%
# Inside the disc, and in the sky of a photograph, cells are dark: without gradient there is
# nothing to normalize. In texture of low contrast they are as bright as at strong edges. HOG
# divides by the contrast of the neighbourhood, and a glyph cannot show by how much.
faint = 0.5 + 0.02 * (cat - 0.5)
change = np.linalg.norm(hog(faint) - hog(cat)) / np.linalg.norm(hog(cat))
print(f"at a fiftieth of the contrast, the HOG of the cat changes by {change:.0%}")

# %%
# What the glyph of the cat leaves out is easier to see as an image with the same HOG.
result = repinv.invert(hog(cat), hog, shape=cat.shape, max_iter=400)
result.plot(cat)

# %%
# What to notice
# --------------
#
# The fur is the brightest part of the glyph and the texture of least contrast in the photograph.
# In the image found it is there again, at a contrast that is a guess. The eyes, which a reader of
# the glyph has to be told of, are plain in the image: bars of neighbouring cells belong together
# in a way that the eye does not see, and the solver does.

ncc = repinv.metrics.ncc(result.image, cat)
print(f"NCC of the image found: {ncc:.2f}")
assert change < 0.2
assert ncc > 0.5

# %%
# Why a glyph misleads
# --------------------
#
# It draws nine bars for the 31 numbers of a cell. Left out are the signs (which side of an edge
# is bright), the four norms by which each number was divided, and the texture features. Two cells
# with the same star may lie on a strong edge and in noise. And the star is as large as the cell,
# so that one sees the grid and not the contour that crosses it.
#
# A glyph is still the right picture for what it shows: which orientations a cell holds. Compare
# it with an image that has the same features, before you say what a detector could not see.
#
# **Try it**: ``hog.glyph(features, shape=…)`` also takes flat vectors, and
# ``repinv.DSIFT.vlfeat().glyph`` draws the stars of SIFT. **Next**:
# :ref:`sphx_glr_gallery_shallow_plot_which_hog.py` compares what libraries call HOG.

plt.show()
