"""The order in which tutorials are read."""

from pathlib import Path

READ = (
    "first_inversion",
    "glyph",
    "which_hog",
    "many_images",
    "hog_sift_words",
    "words_forget",
    "keypoint_sift",
    "lambda_and_beta",
    "hoggles",
    "linear_classifier",
    "cnn_layers",
    "maximize_and_caricature",
    "what_hog_cannot_see",
    "two_representations_disagree",
    "hog_as_loss",
    "your_own_encoder",
    "study",
)


class AsRead:
    """Sorts files of tutorials; one that is not listed is an error."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def __call__(self, name: str) -> int:
        """Place of a file."""
        return READ.index(Path(name).stem.removeprefix("plot_"))
