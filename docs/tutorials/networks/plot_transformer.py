"""
Tokens of a vision transformer
==============================

A vision transformer cuts an image into patches, each of which becomes a token of numbers; one more
token stands for the whole image. What does each of them keep?
"""

# sphinx_gallery_thumbnail_number = 1
import matplotlib.pyplot as plt
import skimage
import torch
from torch import nn

import repinv
import repinv_cnn

# %%
# The network below has the layout of timm's and Hugging Face's: patches of 8x8 pixels, a class
# token, blocks of attention and of a small network, each added to what goes in. **Its weights are
# random.** What you see is what such an architecture passes on before it has learned anything;
# put a trained network in its place, and the code stays the same.


class Block(nn.Module):
    """Attention and a network of two layers, each added to its input."""

    def __init__(self, width):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        wide = 2 * width
        self.mlp = nn.Sequential(nn.Linear(width, wide), nn.GELU(), nn.Linear(wide, width))

    def forward(self, x):
        q, k, v = self.qkv(self.norm1(x)).chunk(3, dim=-1)
        x = x + self.out(torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """Six blocks over tokens of a class and of 12x12 patches."""

    def __init__(self, width=128, side=8, count=144):
        super().__init__()
        self.patches = nn.Conv2d(3, width, side, stride=side)
        self.cls = nn.Parameter(torch.randn(1, 1, width))
        self.place = nn.Parameter(0.1 * torch.randn(1, count + 1, width))
        self.blocks = nn.ModuleList(Block(width) for _ in range(6))

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.place
        for block in self.blocks:
            x = block(x)
        return x[:, 0]


torch.manual_seed(0)
network = Transformer().eval()
for layer in repinv_cnn.TorchEncoder.layers(network, (3, 96, 96))[-4:]:
    print(layer.name, layer.kind, layer.shape)

# %%
# ``tokens="patch"`` takes the tokens of the patches as a map, without the class token; ``"cls"``
# the class token alone; ``"keys"`` what the attention of a block compares. Five encoders of one
# photograph:

astronaut = skimage.util.img_as_float32(skimage.data.astronaut()[0:192:2, 128:320:2])


def preprocess(x):
    """As the network takes images; any function that torch differentiates."""
    return (x - 0.5) / 0.25


def encoder(layer, tokens):
    return repinv_cnn.TorchEncoder(network, layer, preprocess, tokens=tokens)


chosen = {
    "patches, block 0": encoder("blocks.0", "patch"),
    "patches, block 5": encoder("blocks.5", "patch"),
    "keys, block 5": encoder("blocks.5", "keys"),
    "class token, block 0": encoder("blocks.0", "cls"),
    "class token, block 5": encoder("blocks.5", "cls"),
}
likeness = {}
figure, axes = plt.subplots(2, 3, figsize=(8, 6.2), layout="constrained")
axes = axes.flat
axes[0].imshow(astronaut)
axes[0].set_title("photograph", fontsize=8, loc="left")
axes[0].set_axis_off()
axes[0].set_anchor("N")
for axis, (name, one) in zip(axes[1:], chosen.items(), strict=True):
    features = one(astronaut)
    result = repinv.invert(features, one, shape=(96, 96), max_iter=150)
    gray = result.image.mean(axis=-1), astronaut.mean(axis=-1)
    likeness[name] = repinv.metrics.ncc(*gray)
    result.plot(astronaut, axes=axis)
    axis.set_title(
        f"{name}\n{features.size:,} numbers\nerror {100 * result.error[0]:.2g} %",
        fontsize=8,
        loc="left",
    )

# %%
# What to notice
# --------------
#
# The tokens of the patches keep nearly everything: each has 128 numbers for the 192 of its
# pixels, and the sums around attention pass them on. The class token has as many numbers for the
# whole image, and is met by a blur of colours. With random weights attention takes all patches
# alike, so that their mean is all that it is given; a trained class token says what is in the
# image, and its pre-images show something of that.

assert likeness["patches, block 0"] > 0.9
assert likeness["patches, block 5"] > 0.8
assert abs(likeness["class token, block 5"]) < 0.5

# %%
# Why the patches keep so much
# ----------------------------
#
# Each block *adds* to its tokens, and what was in them before is still in the sum. A token can only
# lose what later blocks happen to cancel. So the tokens of a patch carry their own patch through
# the whole network, and beside it what attention has brought from others. The keys are a linear map
# of the normalized token, 128 numbers of 128: little is lost there either.
#
# The class token is different: it begins without an image, and whatever it holds of the image came
# through sums over all patches, weighted by attention. Where a patch lies enters such a sum only
# through the position that was added to the token, and a mean over all patches has none.
#
# For a network of yours this shows at which depth the image is lost: invert the tokens
# of the patches block by block, and see at which block the picture changes from the photograph to
# something that is only like it.
#
# **Try it** on a network of yours::
#
#     encoder = repinv_cnn.from_timm("vit_small_patch16_224", "blocks.8")
#     keys = dataclasses.replace(encoder, tokens="keys")
#
# Swin's blocks, which give maps with channels last, are taken as they are. **Next**:
# :doc:`/howto/torch` has memory, GPUs and the last layers.

plt.show()
