"""
HOG as a loss inside torch
==========================

Can HOG or SIFT be a loss for something that is learned in torch? Any encoder is a module of torch,
with its derivative. Here an image is moved until its HOG is that of another one.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage
import torch

import repinv
import repinv_cnn

# %%
# :func:`repinv_cnn.as_module` puts a NumPy encoder under torch's autograd.
coins = skimage.util.img_as_float32(skimage.data.coins()[10:298:3, 20:308:3])
hog = repinv_cnn.as_module(repinv.HOG.vlfeat(bilinear_orientations=True))
target = hog(torch.tensor(coins)[None, None])

# %%
# Coins, turned and moved, are to be turned back by gradient descent on three numbers.
angle, dx, dy = 0.12, 0.06, -0.05
grid_of = torch.nn.functional.affine_grid
sample = torch.nn.functional.grid_sample


def moved(image, parameters):
    """The image turned by an angle and moved, in units of half its width."""
    cosine, sine = torch.cos(parameters[0]), torch.sin(parameters[0])
    rows = torch.stack([cosine, -sine, parameters[1]]), torch.stack([sine, cosine, parameters[2]])
    grid = grid_of(torch.stack(rows)[None], list(image.shape), align_corners=False)
    return sample(image, grid, padding_mode="reflection", align_corners=False)


start = moved(torch.tensor(coins)[None, None], torch.tensor([angle, dx, dy])).detach()
parameters = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.Adam([parameters], lr=0.01)
losses = []
for _ in range(80):
    loss = ((hog(moved(start, parameters)) - target) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(f"turned by {angle:.3f}, turned back by {-parameters[0].item():.3f}")

# sphinx_gallery_thumbnail_number = 1
aligned = moved(start, parameters).detach()[0, 0].numpy()
figure, axes = plt.subplots(1, 4, figsize=(10.5, 2.7), layout="constrained")
shown = (coins, "photograph"), (start[0, 0].numpy(), "moved"), (aligned, "aligned by HOG")
for axis, (image, title) in zip(axes[:3], shown, strict=True):
    axis.imshow(np.clip(image, 0, 1), cmap="gray")
    axis.set_title(title)
    axis.set_axis_off()
axes[3].semilogy(losses)
axes[3].set(xlabel="step", title="distance of HOG")

# %%
# What to notice
# --------------
#
# The angle is found to a few hundredths of a radian, and the loss falls over the whole run. No
# step compares pixels: what is compared is HOG. The image on the right is
# aligned up to its border, where the moved image had reflected what lay outside.

assert abs(-parameters[0].item() - angle) < 0.05
assert losses[-1] < 0.5 * losses[0]

# %%
# Why HOG and not pixels
# ----------------------
#
# Squared differences of pixels are large wherever two edges do not lie on top of each other,
# however near they are, so that the loss is flat but for a narrow valley. Cells of HOG are eight
# pixels wide and votes are shared between neighbours: an edge that is two pixels off changes
# features a little, and the gradient tells in which direction to move it. Another exposure hardly
# changes HOG either. Here the same start at half the contrast leads to the same angle:

again = torch.zeros(3, requires_grad=True)
optimizer = torch.optim.Adam([again], lr=0.01)
for _ in range(80):
    loss = ((hog(0.25 + moved(start, again) / 2) - target) ** 2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
print(f"at half the contrast: {-again[0].item():.3f}")
assert abs(again[0].item() - parameters[0].item()) < 0.03

# %%
# Two ways into torch
# -------------------
#
# :func:`repinv_cnn.as_module` runs the NumPy kernels and their pullback by hand, on the CPU,
# under autograd: exact, and faster than a chain of torch's operations. ``repinv_cnn.HOGNet``,
# ``DSIFTNet`` and ``BoVWNet`` are the same features written in layers of torch, for any device
# and for second derivatives. Hard orientations have a gradient too, that of a smoothed version;
# for a loss take ``bilinear_orientations=True``, which is smooth by itself.
#
# **Try it** with ``repinv.DSIFT.natural()`` in place of the HOG. **Next**:
# :ref:`sphx_glr_gallery_studies_plot_your_own_encoder.py` writes such a derivative.

plt.show()
