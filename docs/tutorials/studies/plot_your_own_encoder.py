"""
Writing your own encoder, and checking its gradient
===================================================

Two methods make an encoder: features with their pullback, and the shape of the features.
"""

import dataclasses

import matplotlib.pyplot as plt
import numpy as np
import skimage

import repinv
from repinv.testing import check_encoder

# %%
# Local moments: the mean and the standard deviation of every block of eight pixels. The pullback
# is the chain rule, written down: with b pixels in a block, d std = (x − mean)/(b·std) · dx.


@dataclasses.dataclass(frozen=True)
class Moments(repinv.Encoder):
    """Mean and standard deviation of square blocks of a gray image."""

    side: int = 8
    channels = 1

    def feature_shape(self, image_shape):
        """(2, rows, columns) of blocks."""
        return 2, image_shape[1] // self.side, image_shape[2] // self.side

    def _blocks(self, x):
        _, rows, columns = self.feature_shape(x.shape[1:])
        return x.reshape(len(x), rows, self.side, columns, self.side)

    def vjp(self, x, /):
        """Features, and the map from their cotangents to those of images."""
        blocks = self._blocks(x)
        mean = blocks.mean(axis=(2, 4))
        centred = blocks - mean[:, :, None, :, None]
        std = np.sqrt((centred**2).mean(axis=(2, 4)) + 1e-6)

        def pullback(v):
            of_mean, of_std = v[:, 0], v[:, 1] / std
            grad = of_mean[:, :, None, :, None] + of_std[:, :, None, :, None] * centred
            return (grad / self.side**2).reshape(x.shape)

        return np.stack([mean, std], axis=1), pullback


# %%
# Is the pullback right? :func:`repinv.testing.check_encoder` compares it with differences, and
# holds the encoder to what the solver relies on.
check_encoder(Moments(), (1, 32, 40))
print("the gradient is right")

# %%
# A wrong one is found out.


class Wrong(Moments):
    """The same with a sign turned."""

    def vjp(self, x, /):
        """Features, and a wrong pullback."""
        features, pullback = super().vjp(x)
        return features, lambda v: -pullback(v)


try:
    check_encoder(Wrong(), (1, 32, 40))
except AssertionError as error:
    print(str(error).splitlines()[0])

# %%
# And it can be inverted, like all others.
coins = skimage.util.img_as_float32(skimage.data.coins()[10:266:2, 20:276:2])
moments = Moments()
result = repinv.invert(moments(coins), moments, shape=coins.shape, max_iter=300)
# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, 3, figsize=(8.5, 3), layout="constrained")
result.plot(coins, axes=[axes[0], axes[2]])
axes[1].imshow(moments(coins)[0], cmap="gray", vmin=0, vmax=1)
axes[1].set_title("means of blocks", loc="left", fontsize=9)
axes[1].set_axis_off()
axes[1].set_anchor("N")

# %%
# What to notice
# --------------
#
# Means and deviations of blocks of 64 pixels are two numbers for 64. The image found has these
# to an error of less than 0.01 %. Inside the blocks it depends on the start: the deviation says
# how much contrast there is, and not where.

print(f"error {result.error[0]:.1e}")
assert result.error[0] < 1e-4

# %%
# How the pullback is found
# -------------------------
#
# Write the features as a chain of steps, and each step's change as a matrix times the change
# before it. The pullback applies the transposed matrices from the last step to the first. For the
# mean over b pixels the matrix has entries 1/b, and its transpose hands v/b to every pixel. For
# the deviation σ = √(mean of c²) with c = x − mean, dσ = mean of (c · dx)/σ, so that v becomes v
# · c/(b · σ). The part through the mean drops out, since c sums to zero.
#
# Two conventions keep solvers healthy. Where a norm may be zero, something small is added under
# the root, so that the slope stays finite. Where features jump, as with hard bins, return the
# pullback of a smoothed version and say so; `softened` may then offer the smoothed encoder
# itself, and the run begins with it.
#
# If torch can differentiate your function, none of this is needed: wrap it in a module, and
# :class:`repinv_cnn.TorchEncoder` makes an encoder of it, slower.
#
# **Try it** with ``side=4``, and with the third moment as another channel. **Next**: ``Encoder``
# in the reference lists what an encoder may tell in addition, such as sizes that fit.

plt.show()
