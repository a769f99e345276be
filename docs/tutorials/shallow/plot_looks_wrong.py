"""
My picture looks wrong
======================

Pictures that are not what you expected, with the reason and the remedy. Light and dark, to begin
with: the two images on the right have the same HOG.
"""

# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import skimage

import repinv

cup = skimage.util.img_as_float32(skimage.data.coffee()[8:392:2, 100:484:2]).mean(axis=-1)
unsigned = repinv.HOG.skimage()
found = repinv.invert(unsigned(cup), unsigned, shape=cup.shape, max_iter=200)
_, axes = plt.subplots(1, 4, figsize=(10, 2.9), layout="constrained")
found.plot(cup, match=None, axes=axes[:3])
axes[3].imshow(1 - found.image, cmap="gray", vmin=0, vmax=1)
axes[3].set_title("1 - pre-image", fontsize=9, loc="left")
axes[3].set_anchor("N")
axes[3].set_axis_off()
same = repinv.metrics.feature_error(unsigned(1 - found.image)[None], unsigned(found.image)[None])
assert same < 1e-4

# %%
# Light and dark are swapped
# --------------------------
#
# *Reason*: orientations over half a turn (scikit-image, OpenCV, Dalal and Triggs) do not tell
# which side of an edge is bright. A note of the result says so:

print(found.notes[0])
assert "light and dark" in found.notes[0]

# %%
# *Remedy*: ``polarity=image`` makes the result light where an image of yours is. Without one, a
# network that was learned from photographs decides where one ships; elsewhere the image or its
# negative is kept, whichever has grays that are likelier those of a photograph. If all of the
# image is swapped, look at ``1 - result.image``. If regions are swapped, only ``polarity=image``
# or HOG with signs (``HOG.vlfeat``) helps.
#
# The picture is a gray relief
# ----------------------------
#
# *Reason*: features that are the same for an image and its negative, with ``polarity=None`` or a
# solver of your own. The light side of a contour then changes every few pixels. *Remedy*: leave
# ``polarity`` at its default, under which it stays the same along a contour.

choices = {"polarity=None": None, "default": "auto", "polarity=photograph": cup}
table = repinv.compare(
    cup,
    [repinv.Method(unsigned, {"polarity": one}, name) for name, one in choices.items()],
    max_iter=200,
)
table.plot()
assert table.rows[2].ncc > 0.3

# %%
# The picture is washed out, or too contrasted
# --------------------------------------------
#
# *Reason*: most representations normalize contrast, so that it is not in the features; what you
# see is a guess. *Remedy*: compare at the photograph's mean and contrast, as `Result.plot` does
# by default, or with `repinv.metrics.affine_match`.

hog = repinv.HOG.vlfeat()
plain = repinv.invert(hog(cup), hog, shape=cup.shape, max_iter=200)
plain.plot(cup, encoder_picture=False, match=None)
plain.plot(cup, encoder_picture=False)
matched = repinv.metrics.affine_match(plain.image, cup)
assert abs(matched.std() - cup.std()) < abs(plain.image.std() - cup.std()) + 1e-6

# %%
# A border of the image is blurred
# --------------------------------
#
# *Reason*: cells and blocks that do not fit into the image are left out, so that no feature
# depends on the last rows and columns. Of 206 rows, cells of 16 pixels cover 192. *Remedy*: none
# is needed; or crop the image to a multiple of the cell. The map of `repinv.sensitivity` shows how
# much the features change with each pixel: at the right and at the bottom, which are black, they
# do not change.

cells = repinv.HOG.skimage(pixels_per_cell=(16, 16))
part = skimage.util.img_as_float32(skimage.data.coffee()[:206, 150:356]).mean(axis=-1)
repinv.invert(cells(part), cells, shape=part.shape, max_iter=100).plot(part)
seen = repinv.sensitivity(cells, part)
seen.plot()
assert seen.map[:, 200:].max() < seen.map[:, :190].max() / 1e4

# %%
# There is noise, or a fine pattern
# ---------------------------------
#
# *Reason*: features do not determine all of the image, and noise of the start is left where they
# do not; or ``parametrization=repinv.Pixels()`` or ``priors=()`` removed what keeps images smooth;
# or a network with strides or pooling has nearly the same features for a fine pattern as for an
# even gray. *Remedy*: the default parametrization; several starts, whose average keeps what they
# have in common (``seeds=4``); a learned prior for gray images (``prior="learned"``).

rough = {"parametrization": repinv.Pixels(), "priors": ()}
methods = [repinv.Method(hog, rough, "pixels, no priors"), repinv.Method(hog, {}, "default")]
table = repinv.compare(cup, methods, max_iter=200)
table.plot()
assert table.rows[0].ncc < table.rows[1].ncc

# %%
# Colours are gone
# ----------------
#
# *Reason*: dense SIFT, words and ``HOG.skimage()`` take gray images (``encoder.channels`` is 1).
# *Remedy*: ``HOG.skimage(channel_axis=-1)``, ``HOG.vlfeat``, ``HOG.dpm`` and ``HOG.opencv`` take
# (H, W, 3), and so do networks. But HOG uses at each pixel the channel with the strongest
# gradient, so the colours that are found are a guess. Those of networks are one as far as the
# layer leaves them undetermined.
#
# The error does not fall
# -----------------------
#
# *Reason*: features at another scale than the encoder's, such as SIFT as uint8 up to 255 or
# counts of words, cannot be reached. Another reason is another order of the numbers, or options
# that differ from those of the library. *Remedy*: read the notes; ``rescale=True``; and compute
# the features of one photograph by both, to see whether they are equal.

sift = repinv.DSIFT.vlfeat(step=8, size=4)
scaled = repinv.invert(512 * sift(cup), sift, shape=cup.shape, max_iter=30)
print(f"error {100 * scaled.error[0]:.0f} %")
print(scaled.notes[0])
assert scaled.error[0] > 0.9
mended = repinv.invert(512 * sift(cup), sift, shape=cup.shape, max_iter=30, rescale=True)
assert mended.error[0] < 0.2

# %%
# The first run is slow
# ---------------------
#
# *Reason*: kernels are compiled when they are first needed, which takes up to half a minute, and
# kept for later runs. *Remedy*: none; where the package's folder cannot be written to, set
# ``NUMBA_CACHE_DIR`` to one that can.
#
# Memory
# ------
#
# *Reason*: an inversion holds a few dozen arrays of the image's size, and nine of the features'.
# One that cannot fit is refused before it starts, with figures. *Remedy*: a smaller image
# (``--size``), a larger step of dense SIFT, fewer images at once.
#
# **Next**: :doc:`/howto/result` says what error, notes and trace mean.

plt.show()
