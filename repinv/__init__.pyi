from .encoder import Encoder as Encoder
from .encoder import StraightThrough as StraightThrough
from .encoders.dsift import DSIFT as DSIFT
from .encoders.hog import HOG as HOG
from .energy import Energy as Energy
from .energy import Weighted as Weighted
from .losses import InnerProduct as InnerProduct
from .losses import SquaredError as SquaredError
from .parametrizations import Jitter as Jitter
from .parametrizations import Local as Local
from .parametrizations import Pixels as Pixels
from .parametrizations import Spectral as Spectral
from .priors import AlphaNorm as AlphaNorm
from .priors import IntensityRange as IntensityRange
from .priors import NaturalContrast as NaturalContrast
from .priors import TotalVariation as TotalVariation
from .result import Result as Result
from .rules import LBFGS as LBFGS
from .rules import AdaGrad as AdaGrad
from .rules import Adam as Adam
from .rules import Momentum as Momentum
from .runs import Stage as Stage
from .solvers import minimize as minimize
from .tasks import invert as invert
from .tasks import resume as resume

__version__: str
