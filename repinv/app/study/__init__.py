"""Studies: a declared grid of images, encoders, tasks, priors, solvers and seeds, job by job."""
