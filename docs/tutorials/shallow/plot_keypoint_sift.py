"""
What do keypoints give away?
============================

Panoramas, maps and image search keep descriptors of keypoints in place of photographs. Each
keypoint has a position, a scale, an angle and 128 numbers of SIFT. Together they determine most of
the photograph.
"""

import matplotlib.pyplot as plt
from sklearn.datasets import load_sample_image

import repinv
from repinv import metrics

# %%
# OpenCV finds the keypoints, and ``repinv.SIFT`` computes the descriptors that OpenCV computes.
# For keypoints and descriptors that are there, it is ``repinv.SIFT.opencv(keypoints)``.
photograph = load_sample_image("china.jpg")[100:356, 180:436].mean(axis=-1).astype("uint8")
found = {}
for count in (50, 150, 0):
    sift = repinv.SIFT.detect(photograph, n_features=count)
    descriptors = sift(photograph)
    result = repinv.invert(descriptors, sift, shape=photograph.shape, max_iter=100)
    found[len(descriptors)] = result, sift.coverage(photograph.shape)
    print(f"{len(descriptors):4d} keypoints: error {result.error[0]:.3%}, "
          f"NCC {metrics.ncc(result.image, photograph):.2f}")  # fmt: skip

# %%
# Below each pre-image is how much weight each pixel has in the descriptors. No patch covers the
# black regions: the image there is a smooth continuation, and not that of the photograph.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 4, figsize=(10, 5.4), layout="constrained")
axes[0, 0].imshow(photograph, cmap="gray")
axes[0, 0].set_title("photograph", loc="left")
for column, (count, (result, coverage)) in zip(axes.T[1:], found.items(), strict=True):
    result.plot(axes=column[0])
    column[0].set_title(f"{count} keypoints", loc="left")
    column[1].imshow(coverage**0.5, cmap="gray")
axes[1, 1].set_title("coverage", loc="left")
for axis in axes.flat:
    axis.set_axis_off()

# %%
# What to notice
# --------------
#
# The fifty strongest keypoints lie at the corners of roofs, and give back these: parts of eaves
# with a smooth gray between them. With 150 the building stands, its storeys and its columns in
# their places; with all that OpenCV finds, its whole front is there, tile by tile. The sky has no
# keypoint. It is even, and in the photograph it is nearly so.

likeness = [metrics.ncc(result.image, photograph) for result, _ in found.values()]
assert likeness == sorted(likeness)
assert likeness[-1] > 0.9
sky = photograph[:64, 160:] / 255
assert found[50][0].image[:64, 160:].std() < 0.1
assert sky.std() < 0.1

# %%
# Why
# ---
#
# A descriptor of SIFT is a histogram of gradients in 4x4 cells of a patch, turned and scaled by
# its keypoint. Scale, position and angle are stored beside it, since matching needs them; so each
# descriptor says what the image looks like in a known patch, up to contrast. Where patches of
# several scales overlap, the large ones say how light the small ones are against each other.
#
# Descriptors that are published with their keypoints show the photograph, at the resolution of
# the keypoints. That has been known for dense sets and trained generators [1]_ [2]_; here
# neither a network nor a single other photograph is needed. Privacy needs another representation,
# or keypoints without scale and angle, and these only far apart.
#
# **Try it** with your own: ``cv2.SIFT_create().detectAndCompute(image, None)`` gives
# ``keypoints`` and descriptors, and ``repinv.invert(descriptors, repinv.SIFT.opencv(keypoints),
# shape=image.shape)`` the image. **Next**: :ref:`sphx_glr_gallery_words_plot_hog_sift_words.py`
# compares dense SIFT with other codes.
#
# .. [1] Weinzaepfel, Jégou and Pérez, "Reconstructing an image from its local descriptors", CVPR
#    2011.
# .. [2] Pittaluga et al., "Revealing scenes by inverting structure from motion reconstructions",
#    CVPR 2019.

plt.show()
