from .bovw_net import BoVWNet as BoVWNet
from .dsift_net import DSIFTNet as DSIFTNet
from .encoder import TorchEncoder as TorchEncoder
from .hog_net import HOGNet as HOGNet
from .modules import EncoderModule as EncoderModule
from .modules import as_module as as_module
from .preprocess import Preprocess as Preprocess
