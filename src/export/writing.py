"""Networks as files: ONNX through torch's own exporter, or the program of torch.export."""

import logging
import shutil
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from bn_mappo.core.errors import ConfigError
from bn_mappo.core.extras import load
from bn_mappo.core.specs import Array
from bn_mappo.export.graphs import Graph
from bn_mappo.export.runtime.contract import NetworkFile
from bn_mappo.export.runtime.network import Network, OnnxNetwork

Format = Literal["onnx", "torch"]
OPSET = 18
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torch": ".pt2"}


class NetworkWriter:
    """Writes the networks of one team. Keeps the ONNX graph of each kind of network, in which agents differ by the
    values of their weights alone: torch takes a second for every graph."""

    def __init__(self, file_format: Format):
        """ConfigError where a package that this format needs is not installed."""
        self.file_format: Format = file_format
        self.graphs: dict[str, Any] = {}  # onnx_ir.Model by kind of network
        self.written: dict[str, tuple[Path, NetworkFile]] = {}  # the last file of each name
        for name in ("onnx", "onnxscript", "onnxruntime") if file_format == "onnx" else ():
            load(name)

    def write(self, graph: Graph, folder: Path) -> NetworkFile:
        """NAME.onnx or NAME.pt2 in the folder; ConfigError where torch cannot trace the network."""
        path = folder / f"{graph.name}{SUFFIXES[self.file_format]}"
        try:
            with warnings.catch_warnings(), quiet(), torch.no_grad():
                warnings.simplefilter("ignore")
                if self.file_format == "torch":
                    torch.export.save(trace(graph), path)
                else:
                    self._write_onnx(graph, path)
        except Exception as error:  # torch has no common class for what it cannot trace
            raise ConfigError(
                f"torch cannot export the network '{graph.name}' ({type(graph.module).__name__}): "
                f"{str(error).splitlines()[0]}\nA network can be exported if it stays within torch, and its code does "
                "not depend on the values of tensors"
            ) from error
        described = NetworkFile(file=path.name, inputs=graph.inputs, outputs=graph.outputs)
        self.written[graph.name] = (path, described)
        return described

    def write_again(self, name: str, folder: Path) -> NetworkFile | None:
        """A copy of the last network of that name, for another agent; None where there is none yet."""
        if name not in self.written:
            return None
        path, described = self.written[name]
        shutil.copyfile(path, folder / path.name)
        return described

    def _write_onnx(self, graph: Graph, path: Path) -> None:
        onnx_ir, optimizer = load("onnx_ir"), load("onnxscript.optimizer")
        if graph.kind not in self.graphs:
            self.graphs[graph.kind] = to_onnx(graph)
        model = onnx_ir.from_proto(onnx_ir.to_proto(self.graphs[graph.kind]))  # a copy
        values = {**dict(graph.module.named_parameters()), **dict(graph.module.named_buffers())}
        for name, initializer in model.graph.initializers.items():
            if name in values:
                initializer.const_value = onnx_ir.tensor(values[name].detach().contiguous().numpy(), name=name)
        optimizer.optimize(model)
        onnx_ir.save(model, path)


def trace(graph: Graph) -> torch.export.ExportedProgram:
    """The program of torch.export, for any number of rows."""
    return torch.export.export(graph.module.eval(), (), graph.example, dynamic_shapes=any_rows(graph))


def any_rows(graph: Graph) -> dict[str, Any]:
    """The first axis of every input is of any length, and called so in the files."""
    batch = torch.export.Dim("batch", min=1)
    return {name: {0: batch} for name in graph.example}


def to_onnx(graph: Graph) -> Any:
    """An onnx_ir.Model that is not optimised yet: its weights go by the names of the parameters."""
    program = torch.onnx.export(
        graph.module.eval(),
        kwargs=graph.example,
        dynamic_shapes=any_rows(graph),
        input_names=[port.name for port in graph.inputs],
        output_names=[port.name for port in graph.outputs],
        opset_version=OPSET,
        dynamo=True,
        verbose=False,
        optimize=False,
        custom_translation_table={torch.ops.aten.sort.stable: stable_sort},
    )
    assert program is not None, "the exporter of dynamo returns the program"
    return program.model


def stable_sort(values: Any, stable: bool | None = None, dim: int = -1, descending: bool = False) -> Any:
    """aten::sort.stable in ONNX, which torch does not translate: of equal values TopK gives the first one first."""
    op = load("onnxscript").opset18
    size = op.Reshape(op.Gather(op.Shape(values), dim, axis=0), op.Constant(value_ints=[1]))
    return op.TopK(values, size, axis=dim, largest=int(descending), sorted=1)


class TorchNetwork:
    """A program of torch.export, as a function of NumPy arrays; leaves aside what it does not take."""

    def __init__(self, folder: Path, described: NetworkFile):
        path = folder / described.file
        try:
            self.module: Any = torch.export.load(path).module()
        except Exception as error:  # a zip file with anything in it
            raise ConfigError(f"{path} cannot be loaded: {error}".splitlines()[0]) from error
        self.inputs = [port.name for port in described.inputs]
        self.outputs = [port.name for port in described.outputs]

    @torch.inference_mode()
    def __call__(self, inputs: dict[str, Array]) -> dict[str, Array]:
        values = self.module(**{name: torch.from_numpy(inputs[name]) for name in self.inputs})
        values = (values,) if isinstance(values, Tensor) else values
        return {name: value.numpy() for name, value in zip(self.outputs, values, strict=True)}


def open_network(folder: Path, described: NetworkFile) -> Network:
    """A network of an exported folder, as its suffix says."""
    return (TorchNetwork if described.file.endswith(SUFFIXES["torch"]) else OnnxNetwork)(folder, described)


@contextmanager
def quiet() -> Iterator[None]:
    """torch logs the steps of an export; they are not the user's."""
    level = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(level)
