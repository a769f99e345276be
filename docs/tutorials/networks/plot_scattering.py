"""
An image from its scattering coefficients
=========================================

A scattering transform is a network whose filters are wavelets that nobody trained: averages of an
image, of the moduli of its wavelet coefficients, and of the moduli of theirs. How much of the image
do these averages hold?
"""

# sphinx_gallery_thumbnail_number = 1
import numpy as np
import skimage
from kymatio.scattering2d.frontend.torch_frontend import ScatteringTorch2D

import repinv
import repinv_cnn

# %%
# `kymatio <https://www.kymat.io>`_ computes the transform as a torch module, and a
# :class:`repinv_cnn.TorchEncoder` takes any torch module. The empty name stands for what the module
# returns. Scales go up to 2\ :sup:`J` pixels, and coefficients of the first and second order are
# kept, one pixel for each 2\ :sup:`J`:

cat = skimage.util.img_as_float32(skimage.color.rgb2gray(skimage.data.chelsea()[20:212, 130:322]))
cat = skimage.transform.resize(cat, (64, 64), anti_aliasing=True)


def encoder(scale, order=2):
    transform = ScatteringTorch2D(J=scale, shape=cat.shape, max_order=order)
    return repinv_cnn.TorchEncoder(transform, "", channels=1)


chosen = {
    "J = 2, order 1": encoder(2, 1),
    "J = 2": encoder(2),
    "J = 4, order 1": encoder(4, 1),
}
methods = [repinv.Method(one, name=name) for name, one in chosen.items()]
found = repinv.compare(cat, methods, max_iter=100)
figure = found.plot()

# %%
# What to notice
# --------------
#
# Peak signal-to-noise ratios to the photograph, and how many numbers each transform has for the
# 4096 pixels:

decibels = {}
for name, row in zip(chosen, found, strict=True):
    decibels[name] = skimage.metrics.peak_signal_noise_ratio(cat, row.result.image, data_range=1)
    print(f"{name}: {chosen[name](cat).size:,} numbers, {decibels[name]:.1f} dB")

assert decibels["J = 2"] > 28
assert decibels["J = 2"] > decibels["J = 4, order 1"] + 5
