"""Images on disk are read defensively, and written whole or not at all."""

import os
import struct
import zlib

import numpy as np
import pytest
import tifffile
from PIL import Image

from repinv.io import files, png

rng = np.random.default_rng(0)
GRAY = rng.random((20, 30))
COLOUR = rng.random((20, 30, 3))
BYTES = (COLOUR * 255).astype(np.uint8)
WORDS = (COLOUR * 65535).astype(np.uint16)


@pytest.mark.parametrize(
    ("pixels", "name", "options"),
    [
        (BYTES, "a.png", {}),
        (BYTES[..., 0], "a.png", {}),
        (BYTES, "a.tif", {}),
        (BYTES, "a.tif", {"compression": "tiff_lzw"}),
        (BYTES, "a.bmp", {}),
        (BYTES, "a.webp", {"lossless": True}),
        (WORDS[..., 0], "a.png", {}),
        (WORDS[..., 0], "a.tif", {}),
        (GRAY.astype(np.float32), "a.tif", {}),
        (BYTES[..., 0] > 128, "a.png", {}),
    ],
)
def test_lossless_images_are_read_as_they_are(tmp_path, pixels, name, options):
    Image.fromarray(pixels).save(tmp_path / name, **options)
    image = files.read(tmp_path / name)
    assert image.dtype == pixels.dtype
    np.testing.assert_array_equal(image, pixels)


def test_jpeg_is_read(tmp_path):
    smooth = np.tile(np.linspace(40, 200, 64).astype(np.uint8), (48, 1))
    Image.fromarray(smooth).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(files.read(tmp_path / "a.jpg").astype(int), smooth, atol=3)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.jpg", "a.tif"])
def test_exif_orientation_is_honoured(tmp_path, orientation, name):
    upright = np.zeros((32, 48), np.uint8)
    upright[:16, :24] = 250
    upright[:16, 24:] = 120
    # A file of orientation k holds the image moved by the inverse of what undoes k.
    stored = upright if orientation < 5 else upright.T
    stored = {2: stored[:, ::-1], 3: stored[::-1, ::-1], 4: stored[::-1], 6: stored[::-1],
              7: stored[::-1, ::-1], 8: stored[:, ::-1]}.get(orientation, stored)  # fmt: skip
    # 6 is shown by a quarter turn clockwise, 8 by one against the clock.
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(np.ascontiguousarray(stored)).save(tmp_path / name, exif=exif)
    image = files.read(tmp_path / name)
    assert image.shape == upright.shape
    np.testing.assert_allclose(image.astype(int), upright, atol=12)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_tiff_turns_as_a_shallow_one_does(tmp_path, orientation):
    for name, pixels in [("deep.tif", WORDS), ("shallow.tif", (WORDS >> 8).astype(np.uint8))]:
        tifffile.imwrite(
            tmp_path / name,
            pixels,
            photometric="rgb",
            extratags=[(274, "H", 1, orientation, True)],
        )
    deep, shallow = files.read(tmp_path / "deep.tif"), files.read(tmp_path / "shallow.tif")
    np.testing.assert_array_equal(deep >> 8, shallow)


def test_palettes_become_colours(tmp_path):
    Image.fromarray(BYTES // 64 * 64).quantize(256).save(tmp_path / "a.png")
    with Image.open(tmp_path / "a.png") as file:
        assert file.mode == "P"
    np.testing.assert_array_equal(files.read(tmp_path / "a.png"), BYTES // 64 * 64)


def test_cmyk_becomes_rgb(tmp_path):
    Image.fromarray(np.full((16, 16, 3), 200, np.uint8)).convert("CMYK").save(tmp_path / "a.tif")
    np.testing.assert_array_equal(files.read(tmp_path / "a.tif"), np.full((16, 16, 3), 200))


@pytest.mark.parametrize("gray", [False, True])
def test_alpha_is_composited_on_white(tmp_path, gray):
    colour = np.zeros((2, 3, 1 if gray else 3), np.uint8)
    alpha = np.array([[0, 128, 255], [255, 255, 255]], np.uint8)[..., None]
    Image.fromarray(np.concatenate([colour, alpha], axis=-1)).save(tmp_path / "a.png")
    image = files.read(tmp_path / "a.png")
    assert image.shape == ((2, 3) if gray else (2, 3, 3))
    np.testing.assert_array_equal(image.reshape(2, 3, -1)[0, :, 0], [255, 127, 0])


def test_a_transparent_palette_is_composited_on_white(tmp_path):
    palette = Image.fromarray(np.array([[0, 1]], np.uint8))
    palette.putpalette([10, 20, 30, 40, 50, 60])
    palette.save(tmp_path / "a.png", transparency=0)
    np.testing.assert_array_equal(files.read(tmp_path / "a.png"), [[[255] * 3, [40, 50, 60]]])


def _deep_png(pixels, filters):
    """A 16-bit PNG whose rows use the given filters, written as the specification words them."""
    height, width, channels = pixels.shape
    n = 2 * channels
    raw = pixels.astype(">u2").view(np.uint8).reshape(height, width * n).astype(int)
    lines = bytearray()
    for y in range(height):
        lines.append(filters[y % len(filters)])
        for i in range(width * n):
            a = raw[y, i - n] if i >= n else 0
            b = raw[y - 1, i] if y else 0
            c = raw[y - 1, i - n] if y and i >= n else 0
            nearest = min((abs(b - c), 0, a), (abs(a - c), 1, b), (abs(a + b - 2 * c), 2, c))[2]
            predicted = [0, a, b, (a + b) // 2, nearest][lines[y * (width * n + 1)]]
            lines.append((raw[y, i] - predicted) % 256)
    colour = {2: 4, 3: 2, 4: 6}[channels]
    parts = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)),
        (b"IDAT", zlib.compress(bytes(lines))),
        (b"IEND", b""),
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


@pytest.mark.parametrize("filters", [[0], [1], [2], [3], [4], [4, 3, 2, 1, 0]])
def test_deep_colour_png_keeps_all_bits_whatever_its_filters(tmp_path, filters):
    (tmp_path / "a.png").write_bytes(_deep_png(WORDS, filters))
    np.testing.assert_array_equal(files.read(tmp_path / "a.png"), WORDS)


def test_deep_colour_png_of_another_writer_is_read(tmp_path):
    cv2 = pytest.importorskip("cv2")
    smooth = (np.cumsum(WORDS >> 6, axis=1) // 30 * 64).astype(np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), smooth[..., ::-1])
    np.testing.assert_array_equal(files.read(tmp_path / "a.png"), smooth)


def test_deep_colour_png_is_read_by_another_reader(tmp_path):
    cv2 = pytest.importorskip("cv2")
    files.write(tmp_path / "a.png", COLOUR)
    image = cv2.imread(str(tmp_path / "a.png"), cv2.IMREAD_UNCHANGED)
    assert image.dtype == np.uint16
    np.testing.assert_allclose(image[..., ::-1] / 65535, COLOUR, atol=1e-5)


def test_deep_png_with_alpha_is_composited(tmp_path):
    opaque = np.concatenate([WORDS, np.full((20, 30, 1), 65535, np.uint16)], axis=-1)
    (tmp_path / "a.png").write_bytes(_deep_png(opaque, [4]))
    np.testing.assert_array_equal(files.read(tmp_path / "a.png"), WORDS)


@pytest.mark.parametrize("cut", [30, 60, 200, -20])
def test_a_truncated_deep_png_is_refused(tmp_path, cut):
    (tmp_path / "a.png").write_bytes(png.encode(WORDS)[:cut])
    with pytest.raises(ValueError, match=r"a.png cannot be read"):
        files.read(tmp_path / "a.png")


def test_a_damaged_deep_png_is_refused(tmp_path):
    data = bytearray(png.encode(WORDS))
    data[100] ^= 1
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match="checksum"):
        files.read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp"])
@pytest.mark.parametrize("part", [0.05, 0.5, 0.9])
def test_a_truncated_image_is_refused(tmp_path, name, part):
    Image.fromarray(BYTES).save(tmp_path / name)
    data = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(data[: int(part * len(data))])
    with pytest.raises(ValueError, match=rf"expected an image .*{name} cannot be read"):
        files.read(tmp_path / name)


@pytest.mark.parametrize("data", [b"hello, world", b"%PDF-1.4 ...", b"\x89PNG\r\n\x1a\n", b"II*\0"])
def test_a_file_that_is_no_image_is_refused(tmp_path, data):
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(ValueError, match="cannot be read as one"):
        files.read(tmp_path / "a.png")


def test_an_empty_file_is_refused(tmp_path):
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match="empty file"):
        files.read(tmp_path / "a.png")


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"there is no .*none\.png"):
        files.read(tmp_path / "none.png")
    with pytest.raises(IsADirectoryError, match="folder"):
        files.read(tmp_path)


def _png_that_states(width, height, depth, colour):
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = [(b"IHDR", header), (b"IDAT", zlib.compress(bytes(1000))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )


@pytest.mark.parametrize(("depth", "colour"), [(8, 0), (8, 2), (16, 0), (16, 2)])
@pytest.mark.parametrize("side", [9000, 12_000, 2**20])
def test_a_decompression_bomb_is_refused_before_it_unpacks(tmp_path, depth, colour, side):
    (tmp_path / "a.png").write_bytes(_png_that_states(side, side, depth, colour))
    with pytest.raises(ValueError, match="pixels"):
        files.read(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.tiff", "A.PNG"])
@pytest.mark.parametrize("image", [GRAY, COLOUR, GRAY.astype(np.float32)])
def test_sixteen_bits_are_written(tmp_path, name, image):
    files.write(tmp_path / name, image)
    stored = files.read(tmp_path / name)
    assert stored.dtype == np.uint16
    np.testing.assert_array_equal(stored, np.rint(image.astype(float) * 65535))


def test_npy_holds_the_very_numbers(tmp_path):
    files.write(tmp_path / "a.npy", GRAY)
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), GRAY)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.jpg", "a.npy"])
@pytest.mark.parametrize("image", [GRAY, COLOUR])
def test_quantized_is_what_the_file_holds(tmp_path, name, image):
    files.write(tmp_path / name, image)
    expected = files.quantized(image, tmp_path / name)
    assert expected.dtype == image.dtype
    if name.endswith("npy"):
        np.testing.assert_array_equal(expected, np.load(tmp_path / name))
    else:
        stored = files.read(tmp_path / name)
        white = np.iinfo(stored.dtype).max
        np.testing.assert_allclose(expected, stored / white, atol=1e-7)
    assert (name == "a.npy") == np.array_equal(expected, image)


def test_an_image_that_is_none_leaves_no_file(tmp_path):
    for bad in (np.full((4, 4), 2.0), np.full((4, 4), np.nan), np.zeros((4, 4, 2)), np.zeros(4)):
        with pytest.raises(ValueError, match="expected"):
            files.write(tmp_path / "a.png", bad)
    assert list(tmp_path.iterdir()) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(b"old")

    def fail(*_):
        raise OSError("disk full")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="disk full"):
        files.write(tmp_path / "a.png", GRAY)
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert (tmp_path / "a.png").read_bytes() == b"old"


def test_written_files_have_ordinary_permissions(tmp_path):
    files.write(tmp_path / "a.png", GRAY)
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.png").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_path_that_cannot_be_written_is_known_beforehand(tmp_path):
    with pytest.raises(ValueError, match=r"ends in one of \.png"):
        files.check_writable(tmp_path / "a.exe", files.IMAGE_SUFFIXES)
    with pytest.raises(FileNotFoundError, match="there is no folder"):
        files.check_writable(tmp_path / "none" / "a.png", files.IMAGE_SUFFIXES)
    (tmp_path / "a.png").mkdir()
    with pytest.raises(IsADirectoryError, match="is a folder"):
        files.check_writable(tmp_path / "a.png", files.IMAGE_SUFFIXES)


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere"
)
def test_a_read_only_folder_is_known_beforehand(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(PermissionError, match="cannot write into"):
        files.check_writable(tmp_path / "a.png", files.IMAGE_SUFFIXES)


def test_a_folder_that_takes_no_file_is_known_beforehand(tmp_path, monkeypatch):
    def fail(**_):
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.TemporaryFile", fail)
    with pytest.raises(PermissionError, match="Read-only file system"):
        files.check_writable(tmp_path / "a.png", files.IMAGE_SUFFIXES)


def test_checking_a_path_leaves_no_trace(tmp_path):
    files.check_writable(tmp_path / "a.png", files.IMAGE_SUFFIXES)
    assert list(tmp_path.iterdir()) == []
