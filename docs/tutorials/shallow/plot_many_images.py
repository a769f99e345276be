"""
One code, many images
=====================

A code does not have one pre-image but many. Where they differ, the code says nothing.
"""

import matplotlib.pyplot as plt
import skimage

import repinv
from repinv import metrics

# %%
# Eight starts, eight images with the same HOG.
photograph = skimage.util.img_as_float32(skimage.data.camera()[24:216:2, 90:282:2])
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
features = hog(photograph)
result = repinv.invert(features, hog, shape=photograph.shape, n_preimages=8, max_iter=300)
print("errors:", ", ".join(f"{error:.3%}" for error in result.error))

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 4, figsize=(9, 4.8), layout="constrained")
for axis, image in zip(axes.flat, result.images, strict=True):
    axis.imshow(image, cmap="gray")
    axis.set_axis_off()

# %%
# :attr:`repinv.Result.spread` maps what they leave open: the brightness of large areas, and
# everything along straight edges, where HOG sees neither end.
mean = result.images.mean(axis=0)
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3), layout="constrained")
axes[0].imshow(photograph, cmap="gray")
axes[0].set_title("photograph")
axes[1].imshow(mean, cmap="gray")
axes[1].set_title("mean of the eight")
axes[2].imshow(result.spread, cmap="magma")
axes[2].set_title("their spread")
for axis in axes:
    axis.set_axis_off()

# %%
# What they have in common is nearer to the photograph than any of them. ``seeds`` makes use of
# that, and a learned prior restores what is missing.
averaged = repinv.invert(features, hog, shape=photograph.shape, seeds=4, max_iter=400)
learned = repinv.invert(features, hog, shape=photograph.shape, prior="learned", max_iter=400)
images = {"one start": result.images[0], "four seeds": averaged.image, "learned": learned.image}
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.2), layout="constrained")
for axis, (name, image) in zip(axes, images.items(), strict=True):
    axis.imshow(image, cmap="gray")
    axis.set_title(f"{name}\nSSIM {metrics.ssim(image, photograph):.2f}")
    axis.set_axis_off()
plt.show()
