#!/usr/bin/env python3
"""Checks the graphs of f16 and bf16 bundles on a machine without CUDA: python3 scripts/check_cuda_graphs.py BUNDLE...

Needs the packages onnx and onnxruntime (the release of runtime/ort/pin.json). Of each graph: ONNX's own checker; the
schema that ONNX Runtime itself has of every com.microsoft operator (attributes, their types, numbers of inputs and
outputs); and ONNX Runtime's full type and shape inference, which runs before it looks for kernels: on the CPU it must
get as far as missing one.
"""
import pathlib
import sys

import onnx
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as state

SCHEMAS = {(s.domain, s.name): s for s in state.get_all_operator_schema()}  # the newest of each comes last
KINDS = {1: "FLOAT", 2: "INT", 3: "STRING", 4: "TENSOR", 6: "FLOATS", 7: "INTS"}


def against_schema(node):
    schema = SCHEMAS.get((node.domain, node.op_type))
    if schema is None:
        return [f"{node.domain}.{node.op_type} is unknown"]
    wrong = []
    for a in node.attribute:
        want = schema.attributes.get(a.name)
        if want is None:
            wrong.append(f"no attribute {a.name}")
        elif str(want.type).rsplit(".", 1)[-1] != KINDS[a.type]:
            wrong.append(f"attribute {a.name} is {KINDS[a.type]}, schema says {want.type}")
    given = {a.name for a in node.attribute}
    wrong += [f"attribute {n} is missing" for n, a in schema.attributes.items() if a.required and n not in given]
    if not schema.min_input <= len(node.input) <= schema.max_input:
        wrong.append(f"{len(node.input)} inputs, schema says {schema.min_input} to {schema.max_input}")
    if not schema.min_output <= len(node.output) <= schema.max_output:
        wrong.append(f"{len(node.output)} outputs, schema says {schema.min_output} to {schema.max_output}")
    return [f"{node.name}: {w}" for w in wrong]


def runtime(path, attention):
    try:
        onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    except Exception as e:  # noqa: BLE001: every kind of it is looked at below
        text = str(e)
        if "NOT_IMPLEMENTED" in text and "Could not find an implementation" in text:
            return f"types and shapes hold; no CPU kernel for {text.split('implementation for ')[1].split(' ')[0]}", []
        return "refused", [text]
    return "loads on the CPU", ["it has PagedAttention and loads on the CPU"] if attention else []


def main(bundles):
    failed = False
    onnxruntime.set_default_logger_severity(4)
    print("onnx", onnx.__version__, "onnxruntime", onnxruntime.__version__)
    for bundle in bundles:
        for name in ("prelude.onnx", "block.onnx", "coda.onnx"):
            path = pathlib.Path(bundle) / name
            model = onnx.load(path)
            nodes = model.graph.node
            wrong = []
            for n in nodes:  # the runtime's own operator, which it keeps in ONNX's domain
                if n.op_type == "SimplifiedLayerNormalization":
                    wrong += against_schema(n)
                    n.domain = "com.microsoft"
            onnx.checker.check_model(model)
            ours = [n for n in nodes if n.domain == "com.microsoft"]
            wrong += [w for n in ours if n.op_type != "SimplifiedLayerNormalization" for w in against_schema(n)]
            attention = sum(n.op_type == "PagedAttention" for n in ours)
            said, more = runtime(path, attention)
            print(f"{path}: {len(nodes)} nodes, {attention} PagedAttention: {said}")
            for w in wrong + more:
                failed = True
                print("  ", w)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
