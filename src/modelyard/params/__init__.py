"""The parameters in params.yaml: typed, frozen, refused at once when something is wrong.

One file a group of conf/, with the range of every value. A unit stands in the name (`timeout_s`).
"""

from modelyard.params.data import Data, IdxGzSource, NpmSource, NpzSource
from modelyard.params.evaluate import Evaluate
from modelyard.params.features import Features
from modelyard.params.load import Params, load_params, validate_params
from modelyard.params.model import Convolution, Model
from modelyard.params.package import Int8, Package
from modelyard.params.pretrained import AnyPretrained, Fallback, File, Pretrained, Proof
from modelyard.params.registry import Card, Gate, Prune, Registry
from modelyard.params.serve import Serve
from modelyard.params.sweep import Dimension, Pruner, Sampler, Sweep
from modelyard.params.train import Augmentation, EarlyStopping, Optimizer, Schedule, Train

__all__ = [
    "AnyPretrained",
    "Augmentation",
    "Card",
    "Convolution",
    "Data",
    "Dimension",
    "EarlyStopping",
    "Evaluate",
    "Fallback",
    "Features",
    "File",
    "Gate",
    "IdxGzSource",
    "Int8",
    "Model",
    "NpmSource",
    "NpzSource",
    "Optimizer",
    "Package",
    "Params",
    "Pretrained",
    "Proof",
    "Prune",
    "Pruner",
    "Registry",
    "Sampler",
    "Schedule",
    "Serve",
    "Sweep",
    "Train",
    "load_params",
    "validate_params",
]
