"""
HOG as a loss inside torch
==========================

Any encoder is a module of torch, with its derivative. Here an image is moved until its HOG is that
of another one.
"""

import matplotlib.pyplot as plt
import numpy as np
import skimage
import torch

import repinv
import repinv_cnn

# %%
# :func:`repinv_cnn.as_module` puts a NumPy encoder under torch's autograd.
camera = skimage.util.img_as_float32(skimage.data.camera()[::4, ::4])
hog = repinv_cnn.as_module(repinv.HOG.vlfeat(bilinear_orientations=True))
target = hog(torch.tensor(camera)[None, None])

# %%
# The camera man, turned and moved, is to be turned back by gradient descent on three numbers.
angle, dx, dy = 0.12, 0.06, -0.05
grid_of = torch.nn.functional.affine_grid
sample = torch.nn.functional.grid_sample


def moved(image, parameters):
    """The image turned by an angle and moved, in units of half its width."""
    cosine, sine = torch.cos(parameters[0]), torch.sin(parameters[0])
    rows = torch.stack([cosine, -sine, parameters[1]]), torch.stack([sine, cosine, parameters[2]])
    grid = grid_of(torch.stack(rows)[None], list(image.shape), align_corners=False)
    return sample(image, grid, padding_mode="reflection", align_corners=False)


start = moved(torch.tensor(camera)[None, None], torch.tensor([angle, dx, dy])).detach()
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
shown = (camera, "photograph"), (start[0, 0].numpy(), "moved"), (aligned, "aligned by HOG")
for axis, (image, title) in zip(axes[:3], shown, strict=True):
    axis.imshow(np.clip(image, 0, 1), cmap="gray")
    axis.set_title(title)
    axis.set_axis_off()
axes[3].semilogy(losses)
axes[3].set(xlabel="step", title="distance of HOG")
plt.show()
