"""What all tests and the processes they start find around them; it is set as this is imported."""

import os

# Two test processes share two cores: more threads of arithmetic only wait for each other.
ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "TF_NUM_INTRAOP_THREADS",
    "TF_NUM_INTEROP_THREADS",
)

for setting in ONE_THREAD:
    os.environ.setdefault(setting, "1")
