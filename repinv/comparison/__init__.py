"""Several methods on one image, measured alike."""

from repinv.comparison.compare import compare as compare
from repinv.comparison.methods import Method as Method
from repinv.comparison.table import Comparison as Comparison
from repinv.comparison.table import Reconstruction as Reconstruction
