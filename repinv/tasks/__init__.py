"""The tasks, a file each: inversion, maximization, caricature."""

from repinv.search.schedules import PRIORS as PRIORS
from repinv.tasks.caricature import caricature as caricature
from repinv.tasks.invert import invert as invert
from repinv.tasks.mahendran import mahendran as mahendran
from repinv.tasks.maximize import maximize as maximize
from repinv.tasks.resume import resume as resume
