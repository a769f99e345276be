"""The mean magnitudes of the spectra of photographs: the file of `repinv.Phase`.

Photographs are made gray, cropped to a square and resized to 256x256; the mean is taken off and a
Hann window put on, so that the borders do not count as edges. Of the squared magnitudes the mean
over all photographs is taken, in rings of frequency (octaves divided in four) and sectors of
direction, and its root is written to `repinv/variables/spectra/photographs.npz`, whose checksum is
printed.

    python scripts/natural_spectrum.py FOLDER_OF_PHOTOGRAPHS
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from repinv.io.shipped import checksum

SIDE = 256
FILE = Path(__file__).resolve().parents[1] / "repinv" / "variables" / "spectra" / "photographs.npz"
#: Centres of the rings, in periods per pixel, and of the sectors, in radians.
RADII = 2.0 ** np.arange(-7, -0.4, 0.25)
ANGLES = np.pi * np.arange(16) / 16


def power(path: Path) -> np.ndarray:
    """Squared magnitudes (256, 256) of one photograph's spectrum."""
    with Image.open(path) as image:
        side = min(image.size)
        left, top = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("L").crop((left, top, left + side, top + side))
        pixels = np.asarray(square.resize((SIDE, SIDE), Image.Resampling.BICUBIC), float) / 255
    window = np.hanning(SIDE)
    return np.abs(np.fft.fft2((pixels - pixels.mean()) * np.outer(window, window))) ** 2


def binned(total: np.ndarray) -> np.ndarray:
    """Root mean squares (rings, sectors) of a spectrum (256, 256), weighted by nearness."""
    down, across = np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE), indexing="ij")
    radius, angle = np.hypot(down, across), np.arctan2(down, across)
    near = np.log2(np.maximum(radius, 1e-9))[..., None] - np.log2(RADII)
    rings = np.maximum(0, 1 - np.abs(near) / 0.25) * (radius > 0)[..., None]
    turned = (angle[..., None] - ANGLES + np.pi / 2) % np.pi - np.pi / 2
    sectors = np.maximum(0, 1 - np.abs(turned) / (np.pi / 16))
    # Low rings hold few frequencies: all sectors share them a little.
    sectors += 1e-2
    weights = np.einsum("yxr,yxs->rs", rings, sectors)
    return np.sqrt(np.einsum("yxr,yxs,yx->rs", rings, sectors, total) / weights)


def main() -> None:
    """Measure, and write."""
    paths = sorted(Path(sys.argv[1]).glob("*.jpg"))
    found = binned(np.mean([power(path) for path in paths], axis=0))
    found /= found.mean()
    FILE.parent.mkdir(exist_ok=True)
    np.savez(FILE, radii=RADII.astype(np.float32), magnitudes=found.astype(np.float32))
    slope = np.polyfit(np.log(RADII), np.log(found.mean(axis=1)), 1)[0]
    print(f"{len(paths)} photographs; magnitudes fall with frequency to the power {slope:.2f}")
    print(f"{FILE.stat().st_size} bytes, SHA-256 {checksum(FILE.read_bytes())}")


if __name__ == "__main__":
    main()
