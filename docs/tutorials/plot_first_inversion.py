"""
Invert a HOG that you already have
==================================

Features computed by scikit-image, years ago perhaps, and no photograph: what did it see?
"""

# %%
# Features first. Nothing here knows ``repinv``.
import matplotlib.pyplot as plt
import numpy as np
import skimage

photograph = skimage.util.img_as_float32(skimage.data.camera()[::2, ::2])
features = skimage.feature.hog(photograph, orientations=9, feature_vector=False)
print(features.shape, features.dtype)

# %%
# :meth:`repinv.HOG.skimage` takes the options of ``skimage.feature.hog`` by their names there, and
# the features in the layout that it returns, or flat. The size of the image is needed as well: many
# have features of this shape.
import repinv

hog = repinv.HOG.skimage(orientations=9)
result = repinv.invert(features, hog, shape=photograph.shape)
print(result)

# %%
# The image found has the same HOG, to a fraction of a per cent. It is not the photograph: what
# differs, HOG cannot see.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), layout="constrained")
result.plot(photograph, axes=axes)

# %%
# The photograph itself is not more like its HOG than that: computed again by scikit-image, the
# features of the pre-image are those that were given.
again = skimage.feature.hog(result.image, orientations=9, feature_vector=False)
print(f"{np.sum((again - features) ** 2) / np.sum(features**2):.2%}")

# %%
# How it came about: the energy by evaluation, and what it is made of.
figure, axis = plt.subplots(figsize=(7, 3), layout="constrained")
for name, values in result.trace.items():
    axis.semilogy(np.maximum(values[:, 0], 1e-7), label=name)
axis.set(xlabel="evaluation", ylabel="energy", ylim=(1e-6, None))
axis.legend(ncols=3)
figure.align_labels()
plt.show()
