"""The TensorFlow operations that classifiers are made of.

None of them reads a file, runs code or leaves the graph. A file with any other operation is refused before it
is loaded.
"""

BATCH_NORM = "BatchNormWithGlobalNormalization"
CHECK = "CheckNumerics"
_COMPUTING = """
    Const Placeholder PlaceholderWithDefault Identity IdentityN NoOp StopGradient EnsureShape Switch Merge
    DecodeJpeg DecodePng Cast ResizeBilinear ResizeNearestNeighbor
    Conv2D DepthwiseConv2dNative MatMul BatchMatMul BatchMatMulV2 BiasAdd Einsum
    _FusedConv2D _FusedMatMul _FusedBatchNormEx _FusedDepthwiseConv2dNative
    BatchNormWithGlobalNormalization CheckNumerics FusedBatchNorm FusedBatchNormV2 FusedBatchNormV3 LRN
    MaxPool MaxPoolV2 AvgPool Mean Sum Max Min Prod Pad PadV2 MirrorPad SpaceToBatchND BatchToSpaceND
    Relu Relu6 LeakyRelu Elu Selu Sigmoid Tanh Softplus Softsign Erf Erfc Softmax LogSoftmax
    Add AddV2 AddN Sub Mul Div RealDiv FloorDiv FloorMod Neg Abs Maximum Minimum Floor Round
    Sqrt Rsqrt Square SquaredDifference Pow Exp Log Log1p Reciprocal
    Concat ConcatV2 Split SplitV Slice StridedSlice Pack Unpack Tile Fill Reshape Squeeze ExpandDims
    Shape Rank Size Transpose ReverseV2 Range ZerosLike OnesLike BroadcastTo Gather GatherV2
    DepthToSpace SpaceToDepth Select SelectV2 Greater GreaterEqual Less LessEqual Equal NotEqual
    LogicalAnd LogicalOr LogicalNot
"""
# Calls, variables, and operations for training, which never run here.
_VARIABLES = """
    StatefulPartitionedCall PartitionedCall If StatelessIf VarHandleOp ReadVariableOp VarIsInitializedOp
    AssignVariableOp AssignAddVariableOp AssignSubVariableOp L2Loss RandomUniform StatelessRandomUniformV2
    StatelessRandomGetKeyCounter StatelessRandomGetAlg
"""
# They write and read checkpoints: every SavedModel has them, and loading runs none of them.
_STORING = """
    SaveV2 RestoreV2 MergeV2Checkpoints ShardedFilename StringJoin StaticRegexFullMatch DisableCopyOnRead
"""
COMPUTING = frozenset(_COMPUTING.split())
WITH_VARIABLES = COMPUTING.union(_VARIABLES.split())
STORING = frozenset(_STORING.split())
