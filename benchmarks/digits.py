"""What excites the classes of the digit network, measured: `python benchmarks/digits.py [PNG]`.

`repinv.maximize` finds an image for each class with its defaults, on the scale of the digits that
the network was trained on. Printed for each: the probability that the network gives the class;
what a nearest-neighbour classifier that knows real digits alone calls it; its total variation and
its share of high-frequency energy, in units of those of real digits. With the name of a file, the
ten images are written there as a picture.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import sys
import time

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.neighbors import KNeighborsClassifier

import repinv
from repinv_cnn import TorchEncoder, digit_images, digits_network

N_NEIGHBOURS = 5


def small(images: np.ndarray) -> np.ndarray:
    """Images (N, 32, 32) as vectors (N, 64), by averages of 4x4 pixels, of mean 0 and norm 1."""
    pixels = images.reshape(len(images), 8, 4, 8, 4).mean(axis=(2, 4)).reshape(len(images), -1)
    centred = pixels - pixels.mean(axis=1, keepdims=True)
    return centred / np.linalg.norm(centred, axis=1, keepdims=True)


def total_variation(images: np.ndarray) -> np.ndarray:
    """Mean size of the gradient of each image (N, H, W), by forward differences."""
    down = np.diff(images, axis=1)[:, :, :-1]
    across = np.diff(images, axis=2)[:, :-1]
    return np.hypot(down, across).mean(axis=(1, 2))


def high_share(images: np.ndarray) -> np.ndarray:
    """Share of the energy of each image (N, H, W), less its mean, above half of the band."""
    down, across = np.fft.fftfreq(images.shape[1])[:, None], np.fft.fftfreq(images.shape[2])
    centred = images - images.mean(axis=(1, 2), keepdims=True)
    energy = np.abs(np.fft.fft2(centred)) ** 2
    return energy[:, np.hypot(down, across) > 0.25].sum(axis=1) / energy.sum(axis=(1, 2))


def excited(encoder: TorchEncoder, digits: np.ndarray) -> np.ndarray:
    """An image (32, 32) of each class that excites it as `repinv.maximize` finds it."""
    found = [repinv.maximize(encoder, k, shape=(32, 32), images=digits).image for k in range(10)]
    return np.stack(found)


def main() -> None:
    """Print the table; write the picture, if a file is named."""
    torch.set_num_threads(1)
    digits, _ = digit_images(train=True)
    net = digits_network()
    began = time.perf_counter()
    images = excited(TorchEncoder(net, layer="logits", channels=1), digits)
    seconds = time.perf_counter() - began
    with torch.no_grad():
        p = torch.softmax(net(torch.from_numpy(images[:, None]).float()), dim=1).numpy()
    # The dataset's own pixels, so that nothing of this package stands between it and the judge.
    pixels, labels = load_digits(return_X_y=True)
    known = small(np.kron(pixels.reshape(-1, 8, 8), np.ones((4, 4))))
    named = KNeighborsClassifier(N_NEIGHBOURS).fit(known, labels).predict(small(images))
    variation = total_variation(images) / total_variation(digits).mean()
    high = high_share(images) / high_share(digits).mean()
    print(f"{'class':>5} {'p':>8} {'kNN':>4} {'TV':>6} {'high':>6}")
    for k in range(10):
        print(f"{k:5d} {p[k, k]:8.5f} {named[k]:4d} {variation[k]:6.2f} {high[k]:6.2f}")
    print(
        f"p >= .99: {(np.diag(p) >= 0.99).sum()} of 10; kNN right: {(named == range(10)).sum()}"
        f"; means: TV {variation.mean():.2f}, high {high.mean():.2f}; {seconds:.0f} s"
    )
    if len(sys.argv) > 1:
        from PIL import Image

        row = np.pad(images, ((0, 0), (1, 1), (1, 1)), constant_values=1)
        sheet = np.concatenate([np.hstack(row[:5]), np.hstack(row[5:])])
        Image.fromarray((255 * sheet).round().astype(np.uint8)).save(sys.argv[1])


if __name__ == "__main__":
    main()
