"""
Inverting a network layer by layer
==================================

What does each layer of a network keep of an image? A small network for digits ships with
``repinv_cnn``; any torch model is treated alike.
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
    print(
        f"{name}: error {100 * result.error[0]:.2g} %, NCC {metrics.ncc(result.image, digit):.2f}"
    )

# sphinx_gallery_thumbnail_number = 1
figure, axes = plt.subplots(1, len(found) + 1, figsize=(10, 2.3), layout="constrained")
axes[0].imshow(digit, cmap="gray")
axes[0].set_title("digit", loc="left")
axes[0].set_axis_off()
axes[0].set_anchor("N")
for axis, (name, result) in zip(axes[1:], found.items(), strict=True):
    result.plot(axes=axis)
    axis.set_title(name, loc="left")

# %%
# What to notice
# --------------
#
# All three convolutional layers determine the digit, pooled as they are: nothing that one can see
# is lost. The first fully connected layer, ``fc``, is where an image begins to go: a stroke of
# about this form is left, thicker and less sharp. From the ten logits something is found that the
# network calls the same digit, with the same doubts about the others; another hand might have
# drawn it.

likeness = [metrics.ncc(result.image, digit) for result in found.values()]
assert min(likeness[:3]) > 0.95
assert likeness[-1] < likeness[-2] < 0.95
assert all(result.error[0] < 0.01 for result in found.values())

# %%
# Why
# ---
#
# A convolution with stride 1 and as many channels as inputs loses next to nothing: a rectifier
# keeps one half of each sign, but other channels see the other half. What loses is pooling, which
# keeps one of four values and not where it was, and the last linear layers, which map thousands
# of numbers to ten. An inversion that ends at a small error and looks wrong proves that the layer
# has lost it; one that ends at a large error proves nothing, and wants more evaluations.
#
# A rectifier that is off passes no gradient back, so that no step would switch it on. During the
# run it is pulled back with the slope of a smooth one, which is taken back until the end
# (:doc:`/theory/solver`). The features are exact at all times.
#
# Several layers at once
# ----------------------
#
# A sequence of names makes one representation of several layers, in which each counts by its own
# relative error. From the last two together the digit comes out as from the deeper one that keeps
# more:

both = repinv_cnn.from_digits(chosen[-2:])
joined = repinv.invert(both(digit), both, shape=digit.shape, max_iter=200)
ncc = metrics.ncc(joined.image, digit)
print(f"both: error {100 * joined.error[0]:.2g} %, NCC {ncc:.2f}")
assert ncc > likeness[-1]

# %%
# **Try it** with a layer of yours: ``repinv_cnn.TorchEncoder(model, "layer3")``, and
# ``repinv_cnn.TorchEncoder.layers(model, (3, 224, 224))`` to see what there is. **Next**:
# :ref:`sphx_glr_gallery_networks_plot_maximize_and_caricature.py` finds what excites a unit;
# :doc:`/howto/torch` has preprocessing, devices and transformers.

plt.show()
