from .modules import EncoderModule as EncoderModule
from .modules import as_module as as_module
