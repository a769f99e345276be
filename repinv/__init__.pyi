from .encoder import Encoder as Encoder
from .encoder import StraightThrough as StraightThrough
from .encoders.hog import HOG as HOG

__version__: str
