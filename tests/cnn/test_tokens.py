"""Tokens of vision transformers, and maps whose channels stand last."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
from torch import nn  # noqa: E402

import repinv  # noqa: E402
import repinv_cnn  # noqa: E402
from repinv.testing import check_vjp  # noqa: E402
from repinv_cnn import TorchEncoder  # noqa: E402
from repinv_cnn._graph.tokens import grid  # noqa: E402
from repinv_cnn._graph.trials import descriptor_axis  # noqa: E402

WIDTH, PREFIX = 12, 3


class Attention(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv = nn.Linear(WIDTH, 3 * WIDTH)
        self.proj = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        return self.proj(torch.softmax(q @ k.mT / WIDTH**0.5, dim=-1) @ v)


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm, self.attn = nn.LayerNorm(WIDTH), Attention()

    def forward(self, x):
        return x + self.attn(self.norm(x))


class Transformer(nn.Module):
    """Patches of 4x4 pixels, a class token, and two registers."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.patch_embed = nn.Conv2d(3, WIDTH, 4, stride=4)
        self.prefix = nn.Parameter(torch.randn(1, PREFIX, WIDTH))
        self.blocks = nn.ModuleList([Block(), Block()])
        self.head = nn.Linear(WIDTH, 5)

    def forward(self, x):
        x = self.patch_embed(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.prefix.expand(len(x), -1, -1), x], dim=1)
        for block in self.blocks:
            x = block(x)
        return self.head(x[:, 0])


class LastChannels(nn.Module):
    """A map (h, w, C), as Swin's blocks give it."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.embed, self.mix = nn.Conv2d(3, 7, 4, stride=4), nn.Linear(7, 9)

    def forward(self, x):
        return self.mix(self.embed(x).permute(0, 2, 3, 1))


NET = Transformer().eval()
X = np.random.default_rng(0).random((2, 3, 16, 24)).astype(np.float32)
SHAPE = (3, 16, 24)


def of(tokens, layer="blocks.1", **options):
    return TorchEncoder(NET, layer, tokens=tokens, **options)


def all_tokens():
    with torch.no_grad():
        x = torch.from_numpy(X)
        found = []
        handle = NET.blocks[1].register_forward_hook(lambda *given: found.append(given[2]))
        NET(x)
        handle.remove()
    return found[0].numpy()


def test_by_default_tokens_are_taken_as_they_are_with_channels_last():
    encoder = of(None)
    assert encoder.feature_shape(SHAPE) == (PREFIX + 24, WIDTH)
    assert encoder.descriptor_axis == 1
    np.testing.assert_allclose(encoder.encode(X), all_tokens(), rtol=1e-5, atol=1e-6)


def test_the_class_token_and_the_map_of_the_patches():
    np.testing.assert_allclose(of("cls").encode(X), all_tokens()[:, 0], rtol=1e-5, atol=1e-6)
    patches = of("patch")
    assert patches.feature_shape(SHAPE) == (WIDTH, 4, 6)
    assert patches.descriptor_axis == 0
    expected = np.moveaxis(all_tokens()[:, PREFIX:], 1, 2).reshape(2, WIDTH, 4, 6)
    np.testing.assert_allclose(patches.encode(X), expected, rtol=1e-5, atol=1e-6)
    assert len(patches.frames(SHAPE)) == 24


@pytest.mark.parametrize(("kind", "part"), [("queries", 0), ("keys", 1), ("values", 2)])
def test_what_an_attention_compares(kind, part):
    found = of(kind)
    assert found.feature_shape(SHAPE) == (WIDTH, 4, 6)
    whole = TorchEncoder(NET, "blocks.1.attn.qkv").encode(X)
    third = whole[:, PREFIX:, part * WIDTH : (part + 1) * WIDTH]
    expected = np.moveaxis(third, 1, 2).reshape(2, WIDTH, 4, 6)
    np.testing.assert_allclose(found.encode(X), expected, rtol=1e-6)


@pytest.mark.parametrize("tokens", [None, "cls", "patch", "keys", "queries", "values"])
def test_pullbacks_are_those_of_the_features(tokens):
    check_vjp(of(tokens, dtype=torch.float64).vjp, X.astype(np.float64))


def test_several_layers_of_tokens_make_one_vector():
    both = of("patch", layer=("blocks.0", "blocks.1"))
    parts = both.split(both.encode(X)[0], SHAPE)
    np.testing.assert_allclose(parts["blocks.1"], of("patch").encode(X)[0], rtol=1e-5, atol=1e-6)
    double = of("patch", layer=("blocks.0", "blocks.1"), dtype=torch.float64)
    check_vjp(double.vjp, X.astype(np.float64))


def test_channels_and_groups_of_patches_are_found():
    encoder = of("patch")
    image = np.moveaxis(X[0], 0, -1)
    result = repinv.invert(
        encoder(image), encoder, shape=image.shape, filter_group=slice(0, 6), max_iter=40
    )
    assert result.error[0] < 0.1
    found = repinv.maximize(encoder, 2, shape=image.shape, max_iter=20)
    assert found.response[0] > 0
    encoder = of(None)
    found = repinv.maximize(encoder, 2, shape=image.shape, max_iter=20)
    assert found.response[0] > 0


def test_maps_with_channels_last_are_known_by_the_proportions_of_the_image():
    encoder = TorchEncoder(nn.Sequential(LastChannels()).eval(), "0")
    assert encoder.feature_shape((3, 64, 64)) == (16, 16, 9)
    assert encoder.descriptor_axis == 2
    assert encoder.layout == "channels_last"
    field = repinv_cnn.receptive_field(encoder, (3, 64, 64))
    assert (field.size, field.stride) == ((4, 4), (4, 4))
    words = repinv.BoVW.fit(
        [np.random.default_rng(k).random((64, 64, 3)).astype(np.float32) for k in range(3)],
        encoder,
        n_words=4,
    )
    assert words(np.zeros((64, 64, 3), np.float32)).shape[-1] == 4


@pytest.mark.parametrize(
    ("shape", "image_shape", "axis"),
    [
        ((64, 56, 56), (3, 224, 224), 0),
        ((56, 56, 96), (3, 224, 224), 2),
        ((7, 7, 768), (3, 224, 224), 2),
        ((512, 1, 1), (3, 224, 224), 0),
        ((64, 30, 40), (3, 240, 320), 0),
        ((30, 40, 64), (3, 240, 320), 2),
        ((7, 7, 7), (3, 224, 224), 0),
        ((3, 15, 20), (3, 240, 320), 0),
        ((197, 768), (3, 224, 224), 1),
        ((1000,), (3, 224, 224), None),
    ],
)
def test_the_axis_of_the_channels(shape, image_shape, axis):
    assert descriptor_axis(shape, image_shape) == axis


@pytest.mark.parametrize(
    ("count", "image_shape", "expected"),
    [
        (197, (3, 224, 224), (14, 14)),
        (201, (3, 224, 224), (14, 14)),
        (196, (3, 224, 224), (14, 14)),
        (257, (3, 224, 224), (16, 16)),
        (1 + 10 * 20, (3, 160, 320), (10, 20)),
    ],
)
def test_the_grid_of_the_patches(count, image_shape, expected):
    assert grid(count, image_shape) == expected


def test_what_has_no_tokens_is_refused():
    with pytest.raises(ValueError, match="tokens must be one of cls, patch"):
        of("class")
    with pytest.raises(ValueError, match="has no linear layer that gives keys"):
        of("keys", layer="patch_embed")
    with pytest.raises(ValueError, match="needs a layer that gives tokens"):
        of("patch", layer="patch_embed").feature_shape(SHAPE)
    with pytest.raises(ValueError, match="do not hold a grid"):
        grid(5, (3, 300, 10))


def test_layers_are_listed_by_the_names_that_an_encoder_takes():
    found = {layer.name: layer for layer in TorchEncoder.layers(NET, SHAPE)}
    assert found["blocks.1"].shape == (PREFIX + 24, WIDTH)
    assert found["patch_embed"].kind == "Conv2d"
    assert next(iter(found)) == "patch_embed"
    shared = nn.ReLU()
    twice = nn.Sequential(nn.Conv2d(3, 4, 3), shared, nn.Conv2d(4, 4, 3), shared).eval()
    names = [layer.name for layer in TorchEncoder.layers(twice, (3, 9, 9))]
    assert names == ["0", "1:0", "2", "1:1"]
    assert not any(part._forward_hooks for part in twice.modules())
    for name in names:
        assert TorchEncoder(twice, name).feature_shape((3, 9, 9))


def test_a_network_is_shown_on_one_line():
    assert repr(of("patch")) == (
        "TorchEncoder(Transformer, 'blocks.1', tokens='patch'): images of 3 channels on cpu"
    )


def test_gray_images_and_channels_first_are_taken_and_warned_of():
    encoder = TorchEncoder(NET, "patch_embed")
    gray = X[0, 0]
    expected = encoder(np.stack([gray] * 3, axis=-1))
    for image in (gray, gray[..., None], torch.from_numpy(gray)):
        with pytest.warns(UserWarning, match="gray image is given to the network"):
            np.testing.assert_array_equal(encoder(image), expected)
    with pytest.warns(UserWarning, match=r"is read as \(C, H, W\)"):
        np.testing.assert_array_equal(encoder(X[0]), encoder(np.moveaxis(X[0], 0, -1)))
    with pytest.raises(ValueError, match="expected an image of 3 channel"):
        encoder(np.zeros((16, 24, 2), np.float32))
