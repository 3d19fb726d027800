"""The parameters in params.yaml: typed, frozen, and refused at once if anything is wrong.

One file for each group of conf/, with the range of every value. Names have units (`timeout_s`).
"""

from modelyard.params.groups.data import Data as Data
from modelyard.params.groups.data import FolderDataset as FolderDataset
from modelyard.params.groups.data import IdxDataset as IdxDataset
from modelyard.params.groups.data import IdxGzSource as IdxGzSource
from modelyard.params.groups.data import Input as Input
from modelyard.params.groups.data import NpmSource as NpmSource
from modelyard.params.groups.data import NpzSource as NpzSource
from modelyard.params.groups.evaluate import Corruptions as Corruptions
from modelyard.params.groups.evaluate import Evaluate as Evaluate
from modelyard.params.groups.model import Convolution as Convolution
from modelyard.params.groups.model import Model as Model
from modelyard.params.groups.monitor import Monitor as Monitor
from modelyard.params.groups.package import Int8 as Int8
from modelyard.params.groups.package import Package as Package
from modelyard.params.groups.package import Precision as Precision
from modelyard.params.groups.pretrained import Fallback as Fallback
from modelyard.params.groups.pretrained import File as File
from modelyard.params.groups.pretrained import Pretrained as Pretrained
from modelyard.params.groups.registry import Prune as Prune
from modelyard.params.groups.sweep import Dimension as Dimension
from modelyard.params.groups.sweep import Sweep as Sweep
from modelyard.params.groups.train import Augmentation as Augmentation
from modelyard.params.groups.train import EarlyStopping as EarlyStopping
from modelyard.params.groups.train import Optimizer as Optimizer
from modelyard.params.groups.train import Train as Train
from modelyard.params.load import Params as Params
from modelyard.params.load import load_params as load_params
from modelyard.params.load import validate_params as validate_params
from modelyard.params.published import Card as Card
from modelyard.params.published import Gate as Gate
