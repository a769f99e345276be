"""
An image from its scattering coefficients
=========================================

A scattering transform is a network whose filters are wavelets that nobody trained: averages of an
image, of the moduli of its wavelet coefficients, and of the moduli of theirs. How much of the image
do these averages hold?
"""

# sphinx_gallery_thumbnail_number = 1
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
# With scales up to 4 pixels and both orders the pre-image is nearly the photograph. Without the
# second order fine texture of the fur is blurred a little. With scales up to 16 pixels and the
# first order alone there are an eighth as many numbers as pixels. What is left is where there is
# texture and of which orientation, not how contours run from pixel to pixel: the eye is a dark
# spot with ripples. The peak signal-to-noise ratios say the same:

decibels = {}
for name, row in zip(chosen, found.rows, strict=True):
    decibels[name] = skimage.metrics.peak_signal_noise_ratio(cat, row.image, data_range=1)
    print(f"{name}: {chosen[name](cat).size:,} numbers, {decibels[name]:.1f} dB")

assert decibels["J = 2"] > 28
assert decibels["J = 2"] > decibels["J = 2, order 1"]
assert decibels["J = 2, order 1"] > decibels["J = 4, order 1"] + 5
assert cat.size // chosen["J = 4, order 1"](cat).size == 7

# %%
# Why a modulus can be undone
# ---------------------------
#
# The modulus of a wavelet coefficient forgets its phase, which says where within a wavelength a
# contour lies. The wavelets of neighbouring scales and orientations overlap, though: the phases
# have to agree where they do, and so most of them follow from the moduli [#waldspurger]_. What the
# average over 2\ :sup:`J` pixels takes away, the second order gives back in part, since it holds
# how the moduli change within the average.
#
# Scattering is also an exception among the encoders of this package: its features tell low
# frequencies best, by plain averages. HOG, SIFT and layers of networks tell high frequencies best.
# :func:`repinv.invert` measures that on noise before it starts: where high frequencies are told
# best it looks for low ones first, which otherwise would be found last. Where low frequencies are
# told best, and enough of the image besides, as for J = 2, it treats all alike.

# %%
# Beside kymatio's own example
# ----------------------------
#
# kymatio comes with an example that inverts the transform by Adam on the pixels, with steps of one.
# :doc:`/benchmarks` has both with equally many evaluations on eight photographs
# (``benchmarks/scattering.py``).
#
# **Try it** with a colour image: ``channels=3`` gives the coefficients of each channel. Larger
# images take longer in proportion to their pixels, and J = 3 with the second order about three
# times as long as J = 2. **Next**: :doc:`/howto/torch` has networks that were trained.
#
# .. [#waldspurger] I. Waldspurger, "Phase retrieval for wavelet transforms", IEEE Transactions on
#    Information Theory 63 (2017), doi:10.1109/TIT.2017.2672727
