"""
What a linear classifier looks for
==================================

A linear classifier on HOG multiplies features by weights. The weights are thousands of numbers, and
they cannot be read. Which image has a high score, and which a low one?
"""

# %%
# A classifier, and how good it is
# --------------------------------
# The digits of scikit-learn are small pictures of handwriting. A pipeline encodes them by
# VLFeat's HOG, reduces the features to 30 principal components, and separates ten classes by a
# linear support vector machine. What it looks for is only worth knowing if it recognizes digits
# that it has not seen, so a third of them is held out.

import matplotlib.pyplot as plt
import numpy as np
import skimage
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.svm import LinearSVC

import repinv
from repinv.sklearn import Transformer, direction

digits = load_digits()
images = np.stack([
    skimage.transform.resize(image / 16, (48, 48), order=1) for image in digits.images[:900]
]).astype(np.float32)  # fmt: skip
train, test, labels, test_labels = train_test_split(
    images, digits.target[:900], test_size=1 / 3, random_state=0
)
hog = repinv.HOG.vlfeat(cell_size=6)
model = make_pipeline(Transformer(hog), PCA(30), LinearSVC(C=0.003, random_state=0))
accuracy = model.fit(train, labels).score(test, test_labels)
print(f"accuracy on digits that it has not seen: {accuracy:.1%}")
assert accuracy > 0.95

# %%
# From weights to an image
# ------------------------
# The weights belong to principal components. :func:`repinv.sklearn.direction` carries them back
# to HOG itself: a direction in the space of features. :func:`repinv.maximize` takes a direction
# and finds a natural-looking image of a high score. It stops rewarding more at ten times the
# largest score of ``images`` without the bias, which these do not reach.

found = [
    repinv.maximize(hog, direction(model, digit), shape=(48, 48), images=train[:100])
    for digit in range(10)
]

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for digit, (axis, result) in enumerate(zip(axes.flat, found, strict=True)):
    result.plot(axes=axis)
    axis.set_title(f"most {digit}-like", fontsize=9, loc="left")
plt.show()

# %%
# What to notice
# --------------
# Each digit can be read, and its strokes are light on a dark ground as in
# the training images: VLFeat's HOG has bins over a full turn, which tell which side of an edge is
# bright. Each image scores higher than all held-out images of its digit. What tells a digit from
# the nine others is exaggerated, such as the hole of the 0 and the corner of the 7; what it
# shares with them is weak. Far from the strokes, where training images have no edge, the image is
# arbitrary.

scores = model.decision_function(test)
for digit, result in enumerate(found):
    own = model.decision_function(result.image[None])[0]
    assert own[digit] > scores[:, digit].max()
    assert np.argmax(own) == digit

# %%
# Highest and lowest
# ------------------
# The opposite direction leads to an image of a low score. It is no empty image: it shows the
# strokes that the classifier takes for evidence against the digit.

digit = 0
weights = direction(model, digit)
lowest = repinv.maximize(hog, -weights, shape=(48, 48), images=train[:100])
figure, axes = plt.subplots(1, 3, figsize=(6, 2.2), layout="constrained")
written = test[test_labels == digit][0]
axes[0].imshow(written, cmap="gray", vmin=0, vmax=1)
axes[0].set_axis_off()
found[digit].plot(axes=axes[1])
lowest.plot(axes=axes[2])
shown = {"written": written, "highest score": found[digit].image, "lowest score": lowest.image}
for axis, (title, image) in zip(axes, shown.items(), strict=True):
    score = model.decision_function(image[None])[0, digit]
    axis.set_title(f"{title}: {score:.1f}", fontsize=9, loc="left")
plt.show()
assert model.decision_function(lowest.image[None])[0, digit] < scores[:, digit].min()

# %%
# Why it works
# ------------
# HOG normalizes its blocks, so no image has features of any size: the score of an image is
# bounded, and an image of nearly the highest score exists. Of the many images that come near it
# the priors choose a natural-looking one, as in an inversion.
#
# Try it
# ------
# A detector of OpenCV is a vector of weights and a bias. Its window tells the size of the image,
# so that one line shows what it looks for, a standing person::
#
#     weights = cv2.HOGDescriptor_getDefaultPeopleDetector().ravel()[:-1]
#     repinv.maximize(repinv.HOG.opencv(), weights).plot()
#
# Next: :ref:`sphx_glr_gallery_networks_plot_maximize_and_caricature.py` does the same for classes
# of a network.
