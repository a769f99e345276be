"""
A template of a linear classifier as an image
=============================================

The weights of a linear classifier on HOG are a direction in the space of HOG. What image goes
furthest along it?
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage
from sklearn.datasets import load_digits
from sklearn.linear_model import LogisticRegression

import repinv

# %%
# Handwritten digits, brought to 32 pixels a side, and a classifier on their HOG.
digits = load_digits()
images = np.stack([
    skimage.transform.resize(image / 16, (32, 32), order=1) for image in digits.images[:900]
]).astype(np.float32)  # fmt: skip
hog = repinv.HOG.vlfeat(cell_size=4, bilinear_orientations=True)
features = hog.encode(images[:, None])
classifier = LogisticRegression(max_iter=200).fit(features.reshape(900, -1), digits.target[:900])
print(
    f"accuracy in training: {classifier.score(features.reshape(900, -1), digits.target[:900]):.1%}"
)

# %%
# :func:`repinv.maximize` takes the weights as they are, in the layout of the features; the positive
# part is what speaks for a class.
found = []
for digit in range(10):
    weights = classifier.coef_[digit].reshape(features.shape[1:])
    result = repinv.maximize(
        hog, np.maximum(weights, 0), shape=(32, 32), images=images[:100], max_iter=150
    )
    found.append(result.image)

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for digit, (axis, image) in enumerate(zip(axes.flat, found, strict=True)):
    axis.imshow(image, cmap="gray")
    axis.set_title(f"most {digit}-like", fontsize=9)
    axis.set_axis_off()
plt.show()
