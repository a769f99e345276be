"""
Which HOG do I have?
====================

Four libraries, four features called HOG. How far apart are they?
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
from repinv import metrics

# %%
# One photograph through all flavours. The numbers differ in count, in layout, and in kind.
photograph = skimage.util.img_as_float32(skimage.data.camera()[32:160, 150:278])
flavours = {
    "HOG.skimage()": repinv.HOG.skimage(),
    "HOG.vlfeat()": repinv.HOG.vlfeat(),
    "HOG.vlfeat(bilinear_orientations=True)": repinv.HOG.vlfeat(bilinear_orientations=True),
    'HOG.vlfeat(variant="dalal-triggs")': repinv.HOG.vlfeat(variant="dalal-triggs"),
    "HOG.dpm()": repinv.HOG.dpm(),
    "HOG.opencv(win_size=(128, 128))": repinv.HOG.opencv(win_size=(128, 128)),
}
for name, encoder in flavours.items():
    features = encoder.encode(photograph[None, None])[0]
    print(f"{name:42s} {features.shape!s:18s} {features.size:6d} numbers")

# %%
# All the same they keep much the same of an image. Invert each, and encode what was found by all
# others: the relative error says how much of a flavour another one has kept. Three of them have
# undirected orientations, and light and dark may be swapped in their images. Below each name stand
# the error in its own features, and the likeness to the photograph.
methods = [repinv.Method(encoder, {}, name) for name, encoder in flavours.items()]
# sphinx_gallery_thumbnail_number = 1
table = repinv.compare(photograph, methods, max_iter=300)
table.plot()
errors = np.array(
    [
        [
            metrics.feature_error(
                other.encode(row.image[None, None].astype(np.float32)),
                other.encode(photograph[None, None]),
            )[0]
            for other in flavours.values()
        ]
        for row in table.rows
    ]
)

# %%
# Rows: whose features were inverted. Columns: whose error is measured, in per cent.
figure, axis = plt.subplots(figsize=(7, 5), layout="constrained")
axis.imshow(np.log10(errors), cmap="cividis")
for (row, column), error in np.ndenumerate(errors):
    dark = np.log10(error) < np.log10(errors).mean()
    axis.text(column, row, f"{100 * error:.2g}", ha="center", va="center",
              color="white" if dark else "black")  # fmt: skip
short = ["skimage", "vlfeat", "vlfeat, bilinear", "dalal-triggs", "dpm", "opencv"]
axis.set_xticks(range(6), short, rotation=30, ha="right")
axis.set_yticks(range(6), short)
axis.set_xlabel("error of, %")
axis.set_ylabel("pre-image of")

# %%
# What to notice
# --------------
#
# The diagonal, what was minimized, is the smallest number of each row. Off the diagonal are
# differences of up to tens of per cent: an image that one flavour cannot tell from the photograph
# is another image to all others. Features of different libraries are not interchangeable, even
# where their names and lengths are.

assert (errors.argmin(axis=1) == np.arange(6)).all()
assert errors.max() > 0.1

# %%
# Why they differ
# ---------------
#
# *Signs*: directed orientations (18 over a full turn) tell which side of an edge is bright,
# undirected ones (9 over half a turn) do not. *Votes*: a pixel votes for one bin, or for two by
# its angle; for the cell that it lies in, or for four by its distance. *Norms*: blocks of 2x2 or
# 3x3 cells, clipped and normalized again, or four normalizations averaged. *Gradients*: of the
# gray image, of its square root, of the channel with the strongest one. Each choice was made for
# detectors, and each leaves another trace in the pre-image: hard votes draw crooked contours,
# undirected ones swap light and dark, large blocks blur contrast.
#
# None of them is the only right one. A detector that was trained on one needs that one, and a
# figure of what a representation keeps is a figure of one library's version with its options. Say
# which.
#
# **Try it** with the options that you used, such as ``repinv.HOG.skimage(block_norm="L1")``. If
# your features come from none of these, compute them by both and compare: :doc:`/howto/skimage`,
# :doc:`/howto/opencv`. **Next**: :ref:`sphx_glr_gallery_shallow_plot_many_images.py`.

plt.show()
