"""Notebooks, run as a reader runs them: what is last in a cell shows itself."""

import pytest

nbformat = pytest.importorskip("nbformat", reason="needs nbclient: nbformat is missing")
nbclient = pytest.importorskip("nbclient", reason="needs nbclient, which is missing")
pytest.importorskip("ipykernel", reason="needs a kernel: ipykernel is missing")

NOTEBOOKS = {
    "first inversion": [
        "import skimage, repinv\n"
        "photograph = skimage.util.img_as_float32(skimage.data.camera()[::8, ::8])\n"
        "hog = repinv.HOG.skimage(orientations=9)",
        "result = repinv.invert(hog(photograph), hog, shape=photograph.shape, max_iter=40,\n"
        "                       callback=repinv.live(every=20))\n"
        "result",
        "result.plot(photograph)",
    ],
    "comparison": [
        "import skimage, repinv\n"
        "photograph = skimage.util.img_as_float32(skimage.data.camera()[::8, ::8])\n"
        "repinv.compare(photograph, ['hog.vlfeat', 'dsift.natural'], max_iter=20)",
    ],
    "maximization": [
        "import repinv, repinv_cnn\n"
        "encoder = repinv_cnn.from_digits('fc')\n"
        "repinv.maximize(encoder, 3, shape=(32, 32), images=repinv_cnn.digit_images()[0][:8],\n"
        "                max_iter=40)",
    ],
}


@pytest.mark.filterwarnings("ignore")  # of the kernel's libraries
@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_shows_pictures(name, tmp_path):
    cells = [nbformat.v4.new_code_cell(source) for source in NOTEBOOKS[name]]
    book = nbformat.v4.new_notebook(cells=cells)
    client = nbclient.NotebookClient(
        book, timeout=300, kernel_name="python3", resources={"metadata": {"path": str(tmp_path)}}
    )
    client.execute()
    shown = [
        kind for cell in book.cells for output in cell.outputs for kind in output.get("data", {})
    ]
    html = [
        output["data"]["text/html"]
        for cell in book.cells
        for output in cell.outputs
        if "text/html" in output.get("data", {})
    ]
    assert html
    assert "data:image/png;base64," in html[0]
    if name == "first inversion":
        assert shown.count("image/png") >= 2  # the run as it went, and the figure
