from .encoder import TorchEncoder as TorchEncoder
from .preprocess import Preprocess as Preprocess
