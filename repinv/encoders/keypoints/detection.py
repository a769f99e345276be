"""Keypoints of a photograph, found by OpenCV."""

from __future__ import annotations

from typing import Any

import numpy as np

from repinv.io import image as _image


def detected(image: Any, what: str, **options: Any) -> list[Any]:
    """Keypoints that OpenCV's SIFT finds in a gray image.

    Parameters
    ----------
    image : array, shape (H, W)
        Integers are pixel values from 0 to 255; floats lie in [0, 1].
    what : str
        What needs OpenCV, for the message where it is missing.
    **options
        Of ``cv2.SIFT_create``.

    Raises
    ------
    ImportError
        If OpenCV is not installed.
    ValueError
        If it finds no keypoint.
    """
    try:
        import cv2
    except ImportError:
        raise ImportError(
            f"{what} finds keypoints by OpenCV, which is not installed. Install it by "
            "'pip install opencv-python-headless', or give keypoints."
        ) from None
    pixels = _image.as_batch(_image.as_unit(image), channels=1)[0, 0]
    gray = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8)
    create: Any = cv2.SIFT_create  # type: ignore[attr-defined]
    found = list(create(**options).detect(gray, None))
    if not found:
        raise ValueError(
            "OpenCV finds no keypoints in this image. Lower contrast_threshold, or give keypoints."
        )
    return found
