"""The parameters in params.yaml: typed, frozen, refused at once when something is wrong.

One file a group of conf/, with the range of every value. A unit stands in the name (`timeout_s`).
"""

from modelyard.params.data import Data, FolderDataset, IdxDataset, IdxGzSource, Input, NpmSource, NpzSource
from modelyard.params.evaluate import Evaluate
from modelyard.params.experiment import Difference
from modelyard.params.features import Features
from modelyard.params.load import Params, load_params, validate_params
from modelyard.params.model import Convolution, Model
from modelyard.params.package import Int8, Package, Precision
from modelyard.params.pretrained import AnyPretrained, Fallback, File, Pretrained, Proof
from modelyard.params.published import Card, Figures, Gate, Published
from modelyard.params.registry import Prune, Registry
from modelyard.params.serve import Serve
from modelyard.params.sweep import Dimension, Pruner, Sampler, Sweep
from modelyard.params.train import Augmentation, EarlyStopping, Optimizer, Schedule, Train

__all__ = [
    "AnyPretrained",
    "Augmentation",
    "Card",
    "Convolution",
    "Data",
    "Difference",
    "Dimension",
    "EarlyStopping",
    "Evaluate",
    "Fallback",
    "Features",
    "Figures",
    "File",
    "FolderDataset",
    "Gate",
    "IdxDataset",
    "IdxGzSource",
    "Input",
    "Int8",
    "Model",
    "NpmSource",
    "NpzSource",
    "Optimizer",
    "Package",
    "Params",
    "Precision",
    "Pretrained",
    "Proof",
    "Prune",
    "Pruner",
    "Published",
    "Registry",
    "Sampler",
    "Schedule",
    "Serve",
    "Sweep",
    "Train",
    "load_params",
    "validate_params",
]
