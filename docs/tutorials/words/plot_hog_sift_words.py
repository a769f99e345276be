"""
HOG against SIFT against bags of words
======================================

One photograph, three codes. Which keeps most of it?
"""

import matplotlib.pyplot as plt
import skimage

import repinv

# %%
# :func:`repinv.compare` inverts several representations under the same conditions, and measures
# what each gives back: NCC and SSIM against the photograph.
photograph = skimage.util.img_as_float32(skimage.data.camera()[24:216:2, 90:282:2])
methods = [
    repinv.Method(repinv.HOG.vlfeat(), name="HOG"),
    repinv.Method(repinv.DSIFT.natural(5), name="dense SIFT"),
    repinv.Method(repinv.BoVW.pretrained(256, grid=(12, 12)), name="words, 12x12 cells"),
    repinv.Method(repinv.BoVW.pretrained(256, grid=(4, 4)), name="words, 4x4 cells"),
]
table = repinv.compare(photograph, methods, max_iter=200)
print(table)

# %%
# Dense SIFT has most numbers, and its image most of the photograph's structure (SSIM). Words on a
# fine grid still tell where things are; four by four cells tell what there is.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 5, figsize=(12, 2.9), layout="constrained")
table.plot(axes=axes)
plt.show()
