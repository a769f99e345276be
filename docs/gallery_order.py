"""The order in which tutorials are read."""

from pathlib import Path

#: Folders of tutorials, and in each the tutorials, as they are read.
READ = {
    "shallow": (
        "what_is_a_pre_image",
        "first_inversion",
        "looks_wrong",
        "glyph",
        "which_hog",
        "many_images",
        "lambda_and_beta",
        "keypoint_sift",
        "what_hog_cannot_see",
        "two_representations_disagree",
    ),
    "words": (
        "hog_sift_words",
        "words_forget",
    ),
    "networks": (
        "cnn_layers",
        "maximize_and_caricature",
        "transformer",
        "scattering",
    ),
    "learning": (
        "hoggles",
        "linear_classifier",
        "hog_as_loss",
    ),
    "studies": (
        "study",
        "your_own_encoder",
    ),
}


class AsRead:
    """Sorts files of tutorials; one that is not listed is an error."""

    def __init__(self, folder: str) -> None:
        self.read = READ.get(Path(folder).name, ())

    def __call__(self, name: str) -> int:
        """Place of a file."""
        return self.read.index(Path(name).stem.removeprefix("plot_"))
