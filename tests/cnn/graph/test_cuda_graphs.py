"""Steps that are recorded once and replayed: what they find, and what is never recorded.

Without a GPU a recording takes its step again, in the tensors that it would write to.
"""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

import repinv
from repinv_cnn import Preprocess, TorchEncoder
from repinv_cnn._graph import cuda_graphs

NEEDS_CUDA = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
CUDA = pytest.param("cuda", marks=[pytest.mark.gpu, NEEDS_CUDA])
devices = pytest.mark.parametrize("device", ["cpu", CUDA])


def net():
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU()
    ).eval()


def encoder_on(device, **options):
    return TorchEncoder(net(), "4", Preprocess((0.4, 0.5, 0.6)), device=device, **options)


class Recording(cuda_graphs._Recording):
    """As on a GPU, but for the recording."""

    replays = 0

    def replayed(self):
        self.replays += 1
        return super().replayed()

    def _record(self, step, iteration):
        if not self._z.is_cpu:
            super()._record(step, iteration)
            return

        def replay():
            self._names, self._noted = self._in_place(step, iteration)

        before = self._z.clone(), {k: v.clone() for k, v in _tensors(self._state).items()}
        replay()
        self._z.copy_(before[0])
        for name, values in before[1].items():
            self._state[name].copy_(values)
        self._graph = SimpleNamespace(replay=replay)


def _tensors(state):
    return {name: value for name, value in state.items() if isinstance(value, torch.Tensor)}


@pytest.fixture
def recordings(monkeypatch):
    made = []

    def record(*args):
        made.append(Recording(*args))
        return made[-1]

    monkeypatch.setattr(cuda_graphs, "_Recording", record)
    return made


def energy_on(device, encoder=None):
    encoder = encoder or encoder_on(device)
    x = torch.rand((2, 3, 12, 14), generator=torch.Generator().manual_seed(1)).to(device)
    target = torch.as_tensor(encoder.encode(x))
    energy = repinv.Energy(
        encoder,
        repinv.SquaredError(target),
        repinv.Decorrelated(repinv.Spectral()),
        (repinv.Weighted("range", 1e-2, repinv.IntensityRange()),),
    )
    return energy, 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(2)).to(device)


def minimized(device, rule, repeated, **options):
    energy, z = energy_on(device)
    return repinv.minimize(energy.value_and_grad, z, rule, repeated=repeated, **options)


@devices
@pytest.mark.parametrize("memory", [3, None])
def test_replayed_steps_are_those_of_a_run_that_is_not(device, memory, recordings):
    rule = repinv.LBFGS(memory=memory)
    runs = [
        minimized(device, rule, repeated, max_iter=60) for repeated in (None, cuda_graphs.Replayed)
    ]
    assert len(recordings) == 1
    torch.testing.assert_close(runs[1].z, runs[0].z, rtol=1e-3, atol=1e-3)
    for name, values in runs[0].trace.items():
        assert runs[1].trace[name].shape == values.shape == (60, 2)
        torch.testing.assert_close(runs[1].trace[name][:20], values[:20], rtol=1e-4, atol=1e-6)
    assert [runs[k].state["slot"] for k in (0, 1)] == [60 % (memory or 40)] * 2
    assert float(runs[1].value.max()) < 0.2 * float(runs[1].trace["energy"][0].min())


@devices
def test_a_replayed_run_is_continued(device, recordings):
    whole = minimized(device, repinv.LBFGS(), cuda_graphs.Replayed, max_iter=40)
    part = minimized(device, repinv.LBFGS(), cuda_graphs.Replayed, max_iter=17)
    energy, _ = energy_on(device)
    rest = repinv.minimize(
        energy.value_and_grad,
        part.next_z,
        repinv.LBFGS(),
        repeated=cuda_graphs.Replayed,
        max_iter=40,
        state=part.state,
        iteration=part.iteration,
    )
    torch.testing.assert_close(rest.z, whole.z, rtol=1e-3, atol=1e-3)


@devices
def test_the_start_of_a_run_is_left_as_it_is(device, recordings):
    energy, z = energy_on(device)
    before = z.clone()
    repinv.minimize(
        energy.value_and_grad, z, repinv.LBFGS(), repeated=cuda_graphs.Replayed, max_iter=9
    )
    assert recordings
    torch.testing.assert_close(z, before, rtol=0, atol=0)


@devices
def test_what_a_callback_was_shown_stays(device, recordings):
    shown = []
    minimized(
        device,
        repinv.LBFGS(),
        cuda_graphs.Replayed,
        max_iter=30,
        callback=lambda snapshot: shown.append((snapshot.z, snapshot.z.clone())),
    )
    assert len(shown) == 3
    for kept, then in shown:
        torch.testing.assert_close(kept, then, rtol=0, atol=0)
    assert not torch.equal(shown[0][0], shown[2][0])


@devices
@pytest.mark.parametrize(
    "rule", [repinv.Adam(), repinv.Momentum(((1e-3, 5), (1e-4, 5)))], ids=["Adam", "Momentum"]
)
def test_rules_that_decide_by_their_count_are_taken_as_they_are(device, rule):
    runs = [
        minimized(device, rule, repeated, max_iter=12) for repeated in (None, cuda_graphs.Replayed)
    ]
    torch.testing.assert_close(runs[1].z, runs[0].z, rtol=1e-4, atol=1e-5)


def test_a_recording_that_finds_anything_else_is_not_used(recordings):
    calls = []

    def step(z, state, iteration):
        calls.append(iteration)  # which no tensor tells
        return z + len(calls) % 3, state, {"sum": z.sum(1)}

    replayed, z = cuda_graphs.Replayed(step), torch.zeros((2, 3))
    for iteration in range(3):
        z, _, _ = replayed(z, {}, iteration)
    replays = recordings[0].replays
    for iteration in range(3, 6):
        expected = z + (len(calls) + 1) % 3
        z, _, _ = replayed(z, {}, iteration)
        torch.testing.assert_close(z, expected)
    assert len(recordings) == 1
    assert recordings[0].replays == replays == 1


def test_a_step_counts_by_arrays_without_moving_any(transfers):
    rule = repinv.LBFGS(memory=3)
    z = torch.ones((2, 1, 4, 4), device="meta")
    state = rule.init(z)
    z, state = rule.update(z, z.sum((1, 2, 3)), z, state)
    state["slot"] = torch.full((1,), 1, device="meta")
    with transfers:
        rule.update(z, z.sum((1, 2, 3)), z, state)
    assert transfers.seen == []


@pytest.mark.gpu
@NEEDS_CUDA
def test_where_memory_ends_a_run_goes_on():
    module = nn.Sequential(nn.Conv2d(3, 64, 3), nn.ReLU(), nn.Conv2d(64, 64, 3), nn.ReLU())
    encoder = TorchEncoder(module.eval(), "3", device="cuda")
    x = torch.rand((8, 3, 256, 256), device="cuda")
    loss = repinv.SquaredError(encoder.encode(x))
    energy = repinv.Energy(encoder, loss, repinv.Spectral())

    def run(repeated):
        z = torch.zeros_like(x)
        return repinv.minimize(
            energy.value_and_grad, z, repinv.LBFGS(), repeated=repeated, max_iter=8
        ).z

    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    expected = run(None)
    share = 1.1 * torch.cuda.max_memory_reserved() / torch.cuda.mem_get_info()[1]
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        found = run(cuda_graphs.Replayed)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


@pytest.mark.gpu
@NEEDS_CUDA
def test_a_step_that_reads_a_value_is_taken_as_it_is():
    class Reading:
        def value_and_grad(self, x):
            return 0 * x.sum((1, 2, 3)) + float(x.sum()) * 0, 0 * x

    energy, z = energy_on("cuda")
    reading = repinv.Energy(
        energy.encoder,
        energy.loss,
        energy.parametrization,
        (*energy.priors, repinv.Weighted("reading", 1.0, Reading())),
    )
    step = cuda_graphs.Replayed
    found = [
        repinv.minimize(e.value_and_grad, z, repinv.LBFGS(), repeated=step, max_iter=20)
        for e in (energy, reading)
    ]
    torch.testing.assert_close(found[1].z, found[0].z, rtol=1e-3, atol=1e-3)
    assert float(torch.ones(2, device="cuda").sum()) == 2  # the stream is the usual one again


def test_a_preprocessing_of_the_users_and_modules_that_cannot_be_traced_are_not_recorded():
    def step():
        raise AssertionError

    def repeated(device, preprocess=None, module=None, **options):
        encoder = TorchEncoder(module or net(), "4", preprocess, device="cpu")
        for name, value in ({"device": torch.device(device)} | options).items():
            object.__setattr__(encoder, name, value)
        return encoder.repeated(step)

    class Branching(nn.Sequential):
        def forward(self, x):
            return super().forward(x if x.sum() > 0 else -x)

    assert isinstance(repeated("cuda"), cuda_graphs.Replayed)
    assert isinstance(repeated("cuda", Preprocess((0.5,))), cuda_graphs.Replayed)
    assert repeated("cpu") is step
    assert repeated("cuda", lambda x: x) is step
    assert repeated("cuda", compiled=True) is step
    assert repeated("cuda", module=Branching(*net()).eval()) is step


def test_a_run_that_shifts_its_image_is_not_recorded(monkeypatch):
    asked = []
    encoder = encoder_on("cpu")
    monkeypatch.setattr(TorchEncoder, "repeated", lambda self, step: asked.append(self) or step)
    image = np.random.default_rng(0).random((1, 3, 12, 14), np.float32)
    features = encoder.encode(image)[0]
    repinv.invert(features, encoder, shape=(12, 14), max_iter=20)
    stages = len(asked)
    assert stages >= 2
    adam = repinv.Adam()
    repinv.invert(features, encoder, shape=(12, 14), max_iter=20, jitter=1, solver=adam)
    assert len(asked) == stages
    # By default the end of such a run looks at the image itself.
    repinv.invert(features, encoder, shape=(12, 14), max_iter=20, jitter=1)
    assert len(asked) == 2 * stages


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize("repeated", [None, cuda_graphs.Replayed], ids=["steps", "replayed"])
def test_a_run_on_a_gpu_moves_nothing_to_or_from_it(repeated):
    energy, z = energy_on("cuda", encoder_on("cuda").with_surrogate_slopes(0.4))

    def run():
        return repinv.minimize(
            energy.value_and_grad,
            z,
            repinv.LBFGS(),
            repeated=repeated,
            max_iter=40,
            check_every=100,
        )

    run()  # constants are moved once
    activities = [torch.profiler.ProfilerActivity.CPU, torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities, acc_events=True) as profile:
        run()
        torch.cuda.synchronize()
    names = [event.name for event in profile.events()]
    kernels = [n for n in names if "gemm" in n or "elementwise" in n]
    assert len(kernels) > 40
    moved = [n for n in names if "HtoD" in n or "DtoH" in n]
    # The step counter that a recording begins with, and at its end.
    assert len(moved) <= (0 if repeated is None else 2), moved


@pytest.mark.gpu
@NEEDS_CUDA
@pytest.mark.parametrize(
    "options",
    [{}, {"autocast": torch.bfloat16}, {"deterministic": True}, {"channels_last": False}],
    ids=["plain", "autocast", "deterministic", "contiguous"],
)
def test_inversions_on_a_gpu_end_where_those_on_a_cpu_do(options):
    rows, columns = np.mgrid[0:24, 0:24] / 24
    image = np.stack([rows, columns, np.exp(-8 * ((rows - 0.5) ** 2 + columns**2))], -1)
    errors = []
    for encoder in (encoder_on("cpu"), encoder_on("cuda", **options)):
        result = repinv.invert(
            encoder(image), encoder, shape=image.shape, n_preimages=2, max_iter=200
        )
        errors.append(result.error)
    assert np.all(errors[1] < (0.01 if "autocast" in options else 3 * errors[0] + 1e-6)), errors
