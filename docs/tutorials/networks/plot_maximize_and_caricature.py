"""
Activation maximization and caricatures
=======================================

What does a component look for? And what does a representation see in a photograph, once it may
exaggerate?
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
import repinv_cnn

# %%
# The classes of a network of digits. The direction is a class less the mean of the others, and
# twice what the best of a hundred real digits reaches is enough.
classes = repinv_cnn.from_digits("logits")
images, _ = repinv_cnn.digit_images()
found = []
for digit in range(10):
    direction = np.full(10, -1 / 9, np.float32)
    direction[digit] = 1
    result = repinv.maximize(classes, direction, shape=(32, 32), images=images[:100])
    found.append(result.image)

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(2, 5, figsize=(8, 3.6), layout="constrained")
for digit, (axis, image) in enumerate(zip(axes.flat, found, strict=True)):
    axis.imshow(image, cmap="gray")
    axis.set_title(str(digit))
    axis.set_axis_off()

# %%
# Of networks of colour photographs no such target is set: the margin of a class over all others
# is raised, through another random view of the image in every step (:class:`repinv.RandomView`),
# and only phases are optimized under the magnitudes of photographs' spectra
# (:class:`repinv.Phase`). These are twelve classes of EfficientNet-Lite0, found by ``python
# benchmarks/maximize.py --sheet twelve.png``, which needs its weights: bald eagle, lion, monarch,
# giant panda; tandem bicycle, cannon, fountain, pickup truck; soccer ball, vase, traffic light,
# daisy. :doc:`/benchmarks` says how sure two other networks are of each; of the pickup truck and
# the daisy they are not.
#
# .. image:: /maximize.jpg
#    :alt: Twelve images that excite classes of EfficientNet-Lite0

# %%
# A caricature raises what a representation already sees in an image. The stronger, the further it
# goes from the photograph.
cat = skimage.color.rgb2gray(skimage.data.chelsea())[20:276:2, 100:356:2].astype("float32")
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
drawn = {s: repinv.caricature(cat, hog, strength=s, max_iter=150).image for s in (0.2, 0.5)}
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3.1), layout="constrained")
axes[0].imshow(cat, cmap="gray")
axes[0].set_title("photograph")
for axis, (strength, image) in zip(axes[1:], drawn.items(), strict=True):
    axis.imshow(image, cmap="gray")
    axis.set_title(f"strength {strength}")
for axis in axes:
    axis.set_axis_off()
plt.show()
