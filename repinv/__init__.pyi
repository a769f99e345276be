from repinv.encoder import Encoder as Encoder
from repinv.encoder import StraightThrough as StraightThrough
from repinv.encoders.hog import HOG as HOG
