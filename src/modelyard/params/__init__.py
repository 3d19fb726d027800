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
from modelyard.params.groups.evaluate import Corruptions, Evaluate
from modelyard.params.groups.model import Convolution, Model
from modelyard.params.groups.monitor import Monitor
from modelyard.params.groups.package import Int8, Package, Precision
from modelyard.params.groups.pretrained import Fallback, File, Pretrained
from modelyard.params.groups.registry import Prune
from modelyard.params.groups.sweep import Dimension, Sweep
from modelyard.params.groups.train import Augmentation, EarlyStopping, Optimizer, Train
from modelyard.params.load import Params, load_params, validate_params
from modelyard.params.published import Card, Gate

__all__ = [
    "Augmentation",
    "Card",
    "Convolution",
    "Corruptions",
    "Data",
    "Dimension",
    "EarlyStopping",
    "Evaluate",
    "Fallback",
    "File",
    "FolderDataset",
    "Gate",
    "IdxDataset",
    "IdxGzSource",
    "Input",
    "Int8",
    "Model",
    "Monitor",
    "NpmSource",
    "NpzSource",
    "Optimizer",
    "Package",
    "Params",
    "Precision",
    "Pretrained",
    "Prune",
    "Sweep",
    "Train",
    "load_params",
    "validate_params",
]
