"""The demonstration of ``make demo``: a photograph, its HOG, and an image with the same HOG."""

from __future__ import annotations

import sys
import time
from pathlib import Path

_SIDE = 256
_EXPRESSION = "hog.vlfeat(bilinear_orientations=True)"


def main(path: Path) -> None:
    """Invert the HOG of the cameraman, print error and seconds, and draw the figure.

    Parameters
    ----------
    path : Path
        Of the figure: .png, .pdf or .svg.
    """
    began = time.perf_counter()
    import skimage

    import repinv
    from repinv.app import images
    from repinv.encoders import expressions
    from repinv.io import files
    from repinv.io.tables import percent
    from repinv.plot import figures

    files.check_writable(path, figures.FIGURE_SUFFIXES)
    # Ships inside scikit-image's wheel; nothing is downloaded.
    photograph = skimage.util.img_as_float32(skimage.data.camera())
    steps = tuple(side // _SIDE for side in photograph.shape)
    photograph = skimage.transform.downscale_local_mean(photograph, steps)

    encoder = expressions.parse(_EXPRESSION)
    features = images.encoded(encoder, photograph)
    result = repinv.invert(features, encoder, shape=photograph.shape, progress=sys.stderr.isatty())
    figure = figures.inversion_figure(
        result.images,
        result.error,
        result.trace,
        original=photograph,
        glyph=images.glyph(encoder, features, photograph.shape),
        title=_EXPRESSION,
    )
    figures.save(figure, path)
    height, width = photograph.shape
    print(f"{_EXPRESSION} of a photograph of {height}x{width} pixels, inverted:")
    print(f"  relative feature error  {percent(result.error.min())}")
    print(f"  seconds of inversion    {result.seconds:.2f} ({result.evaluations} evaluations)")
    print(f"  seconds in all          {time.perf_counter() - began:.2f}, compiling included")
    print(f"  figure                  {path}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m repinv.app.demo FIGURE.png")
    try:
        main(Path(sys.argv[1]))
    except (ValueError, OSError) as error:
        sys.exit(f"repinv demo: {error}")
