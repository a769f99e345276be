"""The questions that are asked of a representation, a file each."""

from repinv.search.schedules import PRIORS as PRIORS
from repinv.tasks.caricature import caricature as caricature
from repinv.tasks.invert import invert as invert
from repinv.tasks.mahendran import mahendran as mahendran
from repinv.tasks.maximize import maximize as maximize
from repinv.tasks.resume import resume as resume
