"""The parameters in params.yaml: typed, frozen, and refused at once if anything is wrong.

One file for each group of conf/, with the range of every value. Names have units (`timeout_s`).
"""

from modelyard.params.groups.data import (
    Data,
    FolderDataset,
    IdxDataset,
    IdxGzSource,
    Input,
    NpmSource,
    NpzSource,
)
from modelyard.params.groups.evaluate import Evaluate
from modelyard.params.groups.experiment import Difference
from modelyard.params.groups.features import Features
from modelyard.params.groups.model import Convolution, Model
from modelyard.params.groups.package import Int8, Package, Precision
from modelyard.params.groups.pretrained import AnyPretrained, Fallback, File, Pretrained, Proof
from modelyard.params.groups.published import Card, Figures, Gate, Published
from modelyard.params.groups.registry import Prune, Registry
from modelyard.params.groups.serve import Serve
from modelyard.params.groups.sweep import Dimension, Pruner, Sampler, Sweep
from modelyard.params.groups.train import Augmentation, EarlyStopping, Optimizer, Schedule, Train
from modelyard.params.load import Params, load_params, validate_params

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
