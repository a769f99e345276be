"""
A study, from file to report
============================

A grid of images, encoders, priors and seeds, declared in a file; run on all cores or a cluster;
gone on with after an interruption.
"""

# %%
# A study is a TOML file. This one inverts two flavours of HOG of two photographs, which are
# written to a folder first.
import tempfile
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import skimage

from repinv.io import files

folder = Path(tempfile.mkdtemp())
for name in ("camera", "coins"):
    image = skimage.util.img_as_float32(getattr(skimage.data, name)()[40:168:2, 100:228:2])
    files.write(folder / f"{name}.png", image)
print(sorted(path.name for path in folder.iterdir()))

# %%
# Everything is checked before anything starts: unknown keys and impossible sizes are named with
# their line.
study = folder / "study.toml"
study.write_text("""
[study]
name = "two-flavours"
title = "Hard and bilinear orientations"

[images]
files = ["camera.png", "coins.png"]

[encoders]
HOG = "hog.vlfeat"
HOGb = "hog.vlfeat(bilinear_orientations=True)"

[solvers.short]
max_iter = 60
""")

# %%
# Each cell of the grid is a job, known by its content. What is done is never done again, and a
# run that was killed goes on where it was.
import subprocess
import sys


def repinv_command(*arguments):
    """Print what a command prints."""
    given = [sys.executable, "-m", "repinv.app", *map(str, arguments)]
    print(subprocess.run(given, capture_output=True, text=True, check=True).stdout)


repinv_command("study", "run", study, "--workers", 1)
repinv_command("study", "status", study)

# %%
# The table has means and deviations over the images.
repinv_command("study", "table", study)

# %%
# ``repinv study report`` writes all of it into one HTML file; ``repinv study figures`` the
# pictures alone. Every result is an ordinary file, too.
repinv_command("study", "report", study, "--out", folder / "report.html")
print(f"{(folder / 'report.html').stat().st_size // 1024} KiB")

# %%
# The images that were found, straight from the store: both photographs by both encoders.
from repinv.app.study.study import results_of

# sphinx_gallery_thumbnail_number = 1
found = results_of(study)
results = sorted(Path(found.store.url).rglob("*.npz"))[:4]
figure, axes = plt.subplots(1, len(results), figsize=(8.5, 2.4), layout="constrained")
for axis, path in zip(axes, results, strict=True):
    with np.load(path) as result:
        axis.imshow(result["images"][0], cmap="gray", vmin=0, vmax=1)
    axis.set_axis_off()

# %%
# What to notice
# --------------
#
# Four jobs, two images by two encoders, and a row of the table for each encoder. The deviation
# over the images stands beside the mean; two photographs are too few for it to mean much.

assert len(results) == 4

# %%
# Why a file and not a loop
# -------------------------
#
# A loop of an afternoon is run once. What a paper needs is run many times: with one more
# photograph, after a bug, on the machine of a reviewer. Each job is known by its content, that is
# by the pixels of its image, the encoder with all options, the task, the solver and the seed; so
# a change of the file runs what is new and nothing else. The results are ordinary npz files
# without pickle, the tables Parquet if ``pyarrow`` is there.
#
# - ``sweep`` in a table of the file takes every combination of lists.
# - ``--workers 8`` runs eight processes; ``--scheduler tcp://host:8786`` a dask cluster.
# - A job that fails is recorded with its reason, and the others run.
# - ``repinv study status`` says how far it is, also while it runs.
#
# **Try it** with the files in ``docs/studies``, which are the tables of the paper by this
# package. **Next**: :doc:`/howto/folder` is the short version.

plt.show()
