"""Exported networks as functions of NumPy arrays."""

from collections.abc import Callable
from pathlib import Path

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.extras import load
from bn_mappo.core.specs import Array
from bn_mappo.export.runtime.contract import NetworkFile

Network = Callable[[dict[str, Array]], dict[str, Array]]  # inputs by name -> outputs by name


class OnnxNetwork:
    """An ONNX file in onnxruntime, on one thread: these networks are small. Takes the inputs of its contract by name,
    and leaves aside what else it is given."""

    def __init__(self, folder: Path, described: NetworkFile):
        onnxruntime = load("onnxruntime")
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.log_severity_level = 3  # errors
        path = folder / described.file
        try:
            self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has a dozen classes of its own
            raise ConfigError(f"{path} cannot be loaded: {error}") from error
        self.inputs = [port.name for port in described.inputs]
        self.outputs = [port.name for port in described.outputs]

    def __call__(self, inputs: dict[str, Array]) -> dict[str, Array]:
        values = self.session.run(self.outputs, {name: inputs[name] for name in self.inputs})
        return dict(zip(self.outputs, values, strict=True))
