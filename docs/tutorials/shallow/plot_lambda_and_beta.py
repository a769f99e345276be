"""
What does λ do, what does β do?
===============================

The weight of total variation trades features for smoothness; its exponent decides what smooth is.
"""

import matplotlib.pyplot as plt
import skimage

import repinv
from repinv.search.schedules import PRIORS

# %%
# λ is the weight of the prior in :eq:`energy`, β the exponent in :eq:`total-variation`. Everything
# else stays as it is by default.
photograph = skimage.util.img_as_float32(skimage.data.camera()[24:216:2, 90:282:2])
hog = repinv.HOG.vlfeat(bilinear_orientations=True)
features = hog(photograph)
others = tuple(term for term in PRIORS if not isinstance(term.prior, repinv.TotalVariation))
weights, exponents = (1e-2, 3.0, 100.0), (1.0, 1.5, 2.0)
found = {}
for beta in exponents:
    for weight in weights:
        smooth = repinv.Weighted("tv", weight, repinv.TotalVariation(beta=beta))
        found[beta, weight] = repinv.invert(
            features, hog, shape=photograph.shape, priors=(*others, smooth), max_iter=200
        )

# %%
# Downwards the exponent grows: from patches with sharp borders to gentle slopes. To the right the
# weight grows, and with it what the features pay, in per cent of their squared norm.

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(3, 3, figsize=(7, 7.4), layout="constrained")
for row, beta in enumerate(exponents):
    for column, weight in enumerate(weights):
        result = found[beta, weight]
        axes[row, column].imshow(result.image, cmap="gray")
        axes[row, column].set_title(f"β = {beta}, λ = {weight:g}\nerror {result.error[0]:.2%}",
                                    fontsize=9)  # fmt: skip
        axes[row, column].set_axis_off()
plt.show()
