"""Compute the pre-images of the sliders in the documentation, `docs/_static/slider`.

    python scripts/slider_images.py [SLIDER ...]

Photographs come with scikit-image, the digit with scikit-learn; torch is needed for the network.
Vocabularies that do not ship are learned as those are that do. The images take some minutes. Each
slider's text is written beside them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import learn_vocabularies  # beside this file
import numpy as np
from PIL import Image

import repinv
from repinv.app.explore.photographs import sample
from repinv.app.explore.pictures import percent
from repinv.app.images import encoded, glyph
from repinv.encoders import expressions
from repinv.encoders.words import pretrained
from repinv.plot.figures import matched

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "_static" / "slider"
SIDE, QUALITY = 256, 70
PHOTOGRAPH = "astronaut"
#: Each slider: the sample, the encoder of a value, how a value is told, and the values.
SLIDERS = {
    "hog": (
        PHOTOGRAPH,
        "hog.vlfeat(cell_size={})",
        "HOG with cells of {0}x{0} pixels",
        (4, 6, 8, 12, 16, 24, 32),
    ),
    "words": (
        PHOTOGRAPH,
        "bovw(n_words={}, grid=(8, 8))",
        "counts of {} visual words in 8x8 cells",
        (64, 256, 1024, 4096),
    ),
    "grid": (
        PHOTOGRAPH,
        "bovw(n_words=1024, grid=({0}, {0}))",
        "counts of 1024 visual words in {0}x{0} cells",
        (1, 2, 4, 8, 16),
    ),
    "network": (
        "digit",
        "cnn.digits(layer='{}')",
        "layer {} of the network of digits",
        ("conv1", "conv2", "conv3", "fc", "logits"),
    ),
}


def main(names: list[str]) -> int:
    """Write the images and texts of sliders, of all by default; 0 if they are small enough."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name in names or SLIDERS:
        source, pattern, words, values = SLIDERS[name]
        photograph = sample(source, SIDE).image(1)
        _write(f"{name}-photograph", photograph)
        lines = [".. container:: slider", ""]
        lines += _figure(f"{name}-photograph", "The photograph", "The photograph.")
        for value in values:
            said, found, error = _inverted(
                _encoder(pattern.format(value)), words.format(value), photograph
            )
            _write(f"{name}-{value}", found)
            told = f"{said[0].upper()}{said[1:]}: error {error}."
            lines += _figure(f"{name}-{value}", f"Pre-image of {said}, error {error}", told)
            print(told)
        (FOLDER / f"{name}.inc").write_text("\n".join(lines), encoding="utf-8")
    total = sum(path.stat().st_size for path in FOLDER.iterdir())
    print(f"{total / 1000:.0f} kB")
    return int(total > 400_000)


def _encoder(expression: str) -> repinv.Encoder:
    """An encoder by its expression; a bag of words whose vocabulary does not ship learns it."""
    found = re.fullmatch(r"bovw\(n_words=(\d+), grid=\((\d+), \2\)\)", expression)
    if not found or int(found[1]) in pretrained.CHECKSUMS:
        return expressions.parse(expression)
    count, side = map(int, found.groups())
    names = learn_vocabularies.SCIKIT_IMAGE + learn_vocabularies.SCIKIT_LEARN
    return repinv.BoVW.fit(
        learn_vocabularies.stream([learn_vocabularies.photograph(name) for name in names]),
        pretrained.LOCAL,
        count,
        seed=learn_vocabularies.SEED,
        descriptors_per_image=learn_vocabularies.PER_TILE,
        progress=False,
        descriptors=False,
        grid=(side, side),
    )


def _inverted(
    encoder: repinv.Encoder, said: str, photograph: np.ndarray
) -> tuple[str, np.ndarray, str]:
    """What it is, the features' drawing beside the pre-image, and the error."""
    features = encoded(encoder, photograph)
    result = repinv.invert(
        features, encoder, shape=photograph.shape, layout=encoder.layout, max_iter=200
    )
    image = matched(result.image, photograph, "contrast")[0]
    drawn = glyph(encoder, features, photograph.shape) if isinstance(encoder, repinv.HOG) else None
    if drawn is not None:
        shown = Image.fromarray(np.uint8(255 * (drawn - drawn.min()) / np.ptp(drawn)))
        features_ = np.asarray(shown.resize(photograph.shape[::-1], Image.Resampling.LANCZOS)) / 255
        image = np.hstack([features_, np.ones((len(image), 8)), image])
    return said, image, percent(float(result.error[0]))


def _write(name: str, image: np.ndarray) -> None:
    """A gray image as JPEG, small ones at a whole multiple of their size."""
    pixels = np.uint8(np.rint(255 * np.clip(image, 0, 1)))
    factor = max(1, SIDE // max(pixels.shape))
    enlarged = np.kron(pixels, np.ones((factor, factor), np.uint8))
    Image.fromarray(enlarged).save(FOLDER / f"{name}.jpg", quality=QUALITY, optimize=True)


def _figure(name: str, alternative: str, caption: str) -> list[str]:
    """A figure of reStructuredText within a container."""
    return [
        f"   .. figure:: /_static/slider/{name}.jpg",
        f"      :alt: {alternative}",
        "",
        f"      {caption}",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
