"""
How much does a bag of words forget?
====================================

A bag of visual words counts words in each of its cells, and not where in the cell they are. How
much of a photograph is left as the cells grow?
"""

import skimage

import repinv

# %%
# One vocabulary, four grids
# --------------------------
#
# Dense SIFT gives a descriptor of 128 numbers at every fifth pixel. A vocabulary of 256 words, the
# centres of clusters of such descriptors, ships with ``repinv``: each descriptor is replaced by
# the words that it is near to, and these are counted in every cell of a grid.
# :func:`repinv.compare` inverts the counts of four grids, from 12x12 cells to a single one.
photograph = skimage.util.img_as_float32(skimage.data.coffee()[0:384:4, 150:534:4]).mean(axis=-1)
sides = 12, 6, 3, 1
bags = {f"{side}x{side} cells": repinv.BoVW.pretrained(256, grid=(side, side)) for side in sides}
methods = [repinv.Method(bag, name=name) for name, bag in bags.items()]
table = repinv.compare(photograph, methods, max_iter=200)
print(table)

# sphinx_gallery_thumbnail_number = 1
table.plot()

# %%
# What to notice
# --------------
#
# On the fine grids the cup stands where it stood, though saucer and spoon are already guesses in
# places: a cell of 12x12 has one descriptor or a few. With 3x3 cells its shape is kept, and a part
# of the rim lies in the cup. From a single bag nothing is in its place. The image has the flat
# areas, the straight edges and the corners of the photograph, in another order, and to the
# representation it is the same: its error is the smallest of the four.

likeness = {row.name: row.ncc for row in table.rows}
assert likeness["12x12 cells"] > likeness["3x3 cells"] > likeness["1x1 cells"]
assert min(table.rows, key=lambda row: row.error).name == "1x1 cells"
assert max(row.error for row in table.rows) < 0.05

# %%
# What does the single bag count? Its features drawn are the most frequent words, each as an image
# that has the word's descriptor:

bag = bags["1x1 cells"]
counts = bag(photograph).ravel()
bag.plot(bag(photograph))
order = counts.argsort()[::-1]
share = counts[order[:10]].sum() / counts.sum()
print(f"the ten most frequent of 256 words make up {share:.0%} of the photograph")
assert share > 0.1

# %%
# A word is the centre of a cluster of descriptors, and its picture was found as all images here
# are, by inversion. Most words are edges of some direction at some distance from the middle, some
# are corners or spots. They are smaller than the objects in the photograph, and none is of a cup;
# that a cup is there follows from how they stand side by side, which is what is not counted.
#
# Why
# ---
#
# To count is to give up order. Within a cell any permutation of the descriptors has the same
# histogram, as far as neighbouring descriptors allow it. They overlap: each covers 20 pixels, and
# the next one is five pixels further. A permutation that no image has cannot be found, and that
# is why edges still join up in the image of a single bag, like those of a jigsaw puzzle whose
# pieces fit at several places. Larger pieces would keep more, which is what bags of larger
# descriptors and of pairs of words were made for.
#
# Classifiers of the 2000s were built on such codes. Pyramids of grids brought back some order:
# with 1x1, 2x2 and 4x4 cells together a classifier can weigh what is anywhere against what is at
# the upper left. What the picture of the single bag shows is what they had in the first level.
#
# Soft and hard words
# -------------------
#
# Words are assigned softly here, by distance, so that a descriptor between two words counts for
# both, and the counts change smoothly with the image. ``assignment="hard"`` counts the nearest word
# alone. It forgets more, since where in its cluster a descriptor lies is lost, and its gradient is
# zero almost everywhere; the run begins with soft words and makes them harder by stages
# (:doc:`/theory/solver`).
#
# The error says none of this. A single bag has 256 numbers, which an image of 9216 pixels meets
# easily; a finer grid has more to be met. So the poorest code can have the smallest error and the
# least likeness. Compare errors between runs of one representation, and pictures between
# representations.
#
# **Try it** with ``repinv.BoVW.pretrained(1024)``, or with words of your own images,
# ``repinv.BoVW.fit(folder, repinv.DSIFT.vlfeat(step=5, size=5))``. :doc:`/howto/play` has sliders
# over grids and vocabularies. **Next**: :ref:`sphx_glr_gallery_shallow_plot_keypoint_sift.py`
# gives up the grid in another way.
