"""HOGgle: exact nonnegative codes, their pullback, images of codes, dictionaries."""

import numpy as np
import pytest
import skimage
from sklearn.linear_model import Lasso

import repinv
from repinv import HOGgle
from repinv.encoders.sparse import cell_windows, lasso
from repinv.inverters.cell_maps import view
from repinv.metrics import feature_error, ncc
from repinv.testing import check_encoder

RNG = np.random.default_rng(8)
HOG = repinv.HOG.vlfeat(4, bilinear_orientations=True)
CAMERA = skimage.data.camera()[::4, ::4].astype(np.float32) / 255


def small(n_atoms=20, side=2, dtype=np.float64):
    atoms = RNG.standard_normal((n_atoms, side * side * 31)).astype(dtype)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    patches = RNG.standard_normal((n_atoms, cell_windows.patch_side(side) ** 2)).astype(dtype)
    return HOGgle(HOG, atoms, patches, penalty=0.05)


@pytest.mark.parametrize("penalty", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("shape", [(8, 20), (40, 20), (150, 20)])
def test_codes_are_those_of_the_lasso(shape, penalty):
    atoms = RNG.standard_normal(shape)
    x = RNG.standard_normal((7, shape[1]))
    code = np.empty((7, shape[0]))
    lasso.codes(atoms @ atoms.T, x @ atoms.T, penalty, code)
    # Its objective is divided by the number of samples.
    model = Lasso(penalty / shape[1], positive=True, fit_intercept=False, tol=1e-12, max_iter=10**6)
    expected = model.fit(atoms.T, x.T).coef_
    np.testing.assert_allclose(code, expected, atol=2e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_codes_are_optimal(dtype):
    hoggle = HOGgle.pretrained(256)
    cells = np.moveaxis(hoggle.local(CAMERA), 0, -1).astype(dtype)
    unit, _ = cell_windows.standardized(cell_windows.windows(cells, 5))
    atoms = hoggle.atoms.astype(dtype)
    code = hoggle._of_cells(cells)[0].reshape(256, -1).T
    slope = (unit - code @ atoms) @ atoms.T - hoggle.penalty
    tolerance = 2e-6 if dtype == np.float32 else 1e-9
    assert code.min() == 0
    assert slope.max() < tolerance
    assert np.abs(slope[code > 0]).max() < tolerance


def test_dependent_atoms_do_no_harm():
    atoms = RNG.standard_normal((6, 10))
    twice = np.concatenate([atoms, atoms, 2 * atoms[:1], np.zeros((1, 10))])
    x = RNG.standard_normal((5, 10))
    codes = []
    for d in (atoms, twice):
        code = np.empty((5, len(d)))
        lasso.codes(d @ d.T, x @ d.T, 0.1, code)
        codes.append(np.sum((x - code @ d) ** 2, axis=1) / 2 + 0.1 * code.sum(axis=1))
        grad = np.empty_like(x)
        lasso.pull_codes(d @ d.T, d, code, RNG.standard_normal(code.shape), grad)
        assert np.isfinite(grad).all()
    # An atom twice as long costs half the penalty; nothing else changes.
    assert np.all(codes[1] <= codes[0] + 1e-9)


def test_an_encoder_of_codes_is_checked_like_all_others():
    check_encoder(small(), (1, 20, 24))


def test_the_pullback_is_that_of_finite_differences():
    hoggle = small()
    x, step = RNG.random((1, 1, 20, 24)), RNG.standard_normal((1, 1, 20, 24))
    code, pullback = hoggle.vjp(x)
    v = RNG.standard_normal(code.shape)
    h = 1e-6
    ahead, behind = (np.vdot(v, hoggle.encode(x + s * h * step)) for s in (1, -1))
    assert np.vdot(pullback(v), step) == pytest.approx((ahead - behind) / (2 * h), rel=1e-4)


def test_flat_images_have_no_code_and_pass_nothing():
    hoggle = small()
    code, pullback = hoggle.vjp(np.full((1, 1, 20, 24), 0.4))
    assert not code.any()
    assert not pullback(np.ones_like(code)).any()


@pytest.mark.parametrize("factor", [1e-30, 1.0, 1e30])
def test_codes_know_no_contrast(factor):
    hoggle = small(dtype=np.float64)
    cells = RNG.standard_normal((31, 5, 6))
    np.testing.assert_allclose(hoggle.code(factor * cells), hoggle.code(cells), atol=1e-9)


def test_a_decoded_image_shows_what_was_coded():
    camera = skimage.util.img_as_float32(skimage.data.camera()[::2, ::2])
    errors = []
    for n_atoms in (256, 1024):
        hoggle = HOGgle.pretrained(n_atoms)
        shown = hoggle.decode(hoggle(camera), camera.shape)
        assert shown.shape == camera.shape
        assert (shown.min(), shown.max()) == (0, 1)
        assert ncc(shown, camera) > 0.3
        errors += [feature_error(hoggle.local(shown)[None], hoggle.local(camera)[None])[0]]
    assert errors[1] < errors[0] < 0.46


def test_patches_that_fit_give_the_image_back():
    cells, _ = view(repinv.HOG.vlfeat(), (1, 64, 80))
    smooth = skimage.filters.gaussian(RNG.random((64, 80)), 4)
    places = np.stack(np.divmod(np.arange(4 * 6), 6), axis=1)
    patches = cell_windows.patches(smooth, cells, 5, places)
    again = cell_windows.together(patches, cells, 5, (64, 80))
    assert ncc(again[8:-8, 8:-8], smooth[8:-8, 8:-8]) > 0.99


def test_code_of_features_is_code_of_the_image():
    hoggle = HOGgle.pretrained(256)
    np.testing.assert_allclose(
        hoggle.code(hoggle.local(CAMERA)), hoggle(CAMERA), rtol=1e-5, atol=1e-6
    )
    batch = np.stack([hoggle(CAMERA), hoggle(CAMERA[::-1])])
    shown = hoggle.decode(batch, CAMERA.shape)
    np.testing.assert_array_equal(shown[0], hoggle.decode(batch[0], CAMERA.shape))
    sizes = hoggle.image_shapes(batch.shape[1:])
    assert sizes[0][0] <= CAMERA.shape[0] <= sizes[0][1]
    assert hoggle.decode(batch[0]).shape == (sizes[0][0], sizes[1][0])


def test_codes_are_inverted():
    hoggle = HOGgle.pretrained(256)
    photograph = CAMERA[:96, 16:112]
    result = repinv.invert(hoggle(photograph), hoggle, shape=photograph.shape, max_iter=150)
    shown = hoggle.decode(hoggle(photograph), photograph.shape)
    theirs = feature_error(hoggle(shown)[None], hoggle(photograph)[None])[0]
    assert result.error[0] < theirs / 3
    assert ncc(result.image, photograph) > ncc(shown, photograph)


def test_a_dictionary_is_learned_saved_and_loaded(tmp_path):
    images = [skimage.util.img_as_float32(skimage.data.coins())[:150, :200] for _ in range(3)]
    hoggle = HOGgle.fit(images, n_atoms=16, windows_per_image=120, progress=False)
    assert hoggle.atoms.shape == (16, 25 * 31)
    norms = np.linalg.norm(np.concatenate([hoggle.atoms, hoggle.patches], axis=1), axis=1)
    assert norms.max() <= 1 + 1e-5
    again = HOGgle.fit(images, n_atoms=16, windows_per_image=120, progress=False)
    assert again == hoggle
    shown = hoggle.decode(hoggle(images[0]), images[0].shape)
    assert ncc(shown, images[0]) > 0.3
    hoggle.save(tmp_path / "hoggle.npz")
    assert HOGgle.load(tmp_path / "hoggle.npz") == hoggle
    assert hash(again) == hash(hoggle)


def test_an_interrupted_fit_keeps_what_it_learned():
    def images():
        yield CAMERA
        yield CAMERA[::-1]
        raise KeyboardInterrupt

    with pytest.warns(UserWarning, match="interrupted after"):
        hoggle = HOGgle.fit(images(), n_atoms=8, windows_per_image=100, progress=False)
    assert len(hoggle.atoms) == 8


def test_an_interrupt_before_anything_was_learned_goes_through():
    def images():
        yield CAMERA[:48, :48]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        HOGgle.fit(images(), n_atoms=64, progress=False)


def test_too_few_windows_are_told():
    with pytest.raises(ValueError, match=r"n_atoms=64.*got 4"):
        HOGgle.fit([CAMERA[:48, :48]], n_atoms=64, progress=False)
    with pytest.raises(ValueError, match=r"n_atoms=8.*got 0"):
        HOGgle.fit([np.full((64, 64), 0.5)], n_atoms=8, progress=False)


@pytest.mark.parametrize(
    ("action", "error", "match"),
    [
        (lambda h: h(CAMERA[:32, :32]), ValueError, "4x4 cells; windows need 5"),
        (lambda h: h.feature_shape((1, 20, 20)), ValueError, "windows need 5"),
        (lambda h: h.code(np.zeros((36, 8, 8))), ValueError, "31 numbers each along axis 0"),
        (lambda h: h.code(np.zeros((31, 4, 8))), ValueError, "4x8 cells"),
        (lambda h: h.code(np.full((31, 8, 8), np.nan)), ValueError, "finite"),
        (lambda h: h.decode(np.zeros((256, 3, 3)), (64, 64)), ValueError, r"\(256, 4, 4\)"),
        (lambda h: h.decode(np.zeros((255, 3, 3))), ValueError, "do not determine the size"),
        (
            lambda h: HOGgle.pretrained(512),
            ValueError,
            "256, 1024, which ship with repinv; got 512",
        ),
        (lambda h: HOGgle(repinv.HOG.skimage(), h.atoms, h.patches), TypeError, "HOGgle needs"),
        (
            lambda h: HOGgle(repinv.HOG.vlfeat(variant="dalal-triggs"), h.atoms, h.patches),
            ValueError,
            "775 numbers each, .* 36 numbers, as HOG",
        ),
        (lambda h: HOGgle(h.local, h.atoms, h.patches[:, :-1]), ValueError, "28 x 28"),
        (lambda h: HOGgle(h.local, h.atoms, h.patches, penalty=0), ValueError, "penalty"),
    ],
)
def test_what_does_not_fit_is_refused(action, error, match):
    with pytest.raises(error, match=match):
        action(HOGgle.pretrained(256))


def test_codes_are_a_map_with_channels():
    hoggle = HOGgle.pretrained(256)
    frames = hoggle.frames((1, 64, 80))
    assert frames.shape == (4 * 6, 2)
    np.testing.assert_allclose(frames[0], [19.5, 19.5])
    np.testing.assert_allclose(frames[-1], [64 - 20.5, 80 - 20.5])
    excited = repinv.maximize(hoggle, 5, shape=(48, 48), max_iter=60)
    assert excited.response[0] > 0.5
    drawn = repinv.caricature(CAMERA[:64, :64], hoggle, strength=0.5)
    assert drawn.response[0] > 1.1
