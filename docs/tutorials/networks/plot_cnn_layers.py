"""
Inverting a network layer by layer
==================================

Early layers keep an image all but whole, deep ones what matters for the task. A small network that
knows digits ships with ``repinv_cnn``; any torch model is treated alike.
"""

import matplotlib.pyplot as plt

import repinv
import repinv_cnn
from repinv import metrics

# %%
# Layers are named as ``model.named_modules()`` names them; :class:`repinv_cnn.TorchEncoder` takes
# any model. Nothing behind the layer is computed.
network = repinv_cnn.digits_network()
images, labels = repinv_cnn.digit_images()
layers = [name for name, module in network.named_modules() if not list(module.children())]
print(layers)

# %%
# One digit, inverted from ever deeper layers.
digit = images[2]
chosen = [name for name in layers if "relu" in name.lower() or name == layers[-1]] or layers
found = {}
for name in chosen[:5]:
    encoder = repinv_cnn.from_digits(name)
    result = repinv.invert(encoder(digit), encoder, shape=digit.shape, max_iter=200)
    found[name] = result
    print(f"{name}: error {result.error[0]:.2%}, NCC {metrics.ncc(result.image, digit):.2f}")

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, len(found) + 1, figsize=(10, 2.3), layout="constrained")
axes[0].imshow(digit, cmap="gray")
axes[0].set_title("digit")
for axis, (name, result) in zip(axes[1:], found.items(), strict=True):
    axis.imshow(result.image, cmap="gray")
    axis.set_title(name)
for axis in axes:
    axis.set_axis_off()
plt.show()
