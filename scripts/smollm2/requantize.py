#!/usr/bin/env python3
"""A GGUF file's matrices in another type, its token table in Q8_0, as llama-quantize makes them: requantize.py FROM TO Q4_0|Q8_0
(needs the package gguf; the peers of docs/benchmarks.md's real model are made with it)."""
import sys

from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFValueType, GGUFWriter, quants

source, target, wanted = sys.argv[1], sys.argv[2], Type[sys.argv[3]]
reader, writer = GGUFReader(source), GGUFWriter(target, "llama")
for field in reader.fields.values():
    if field.name.startswith("GGUF.") or field.name == "general.architecture":
        continue
    kind = field.types[0]
    writer.add_key_value(field.name, field.contents(), kind, field.types[-1] if kind == GGUFValueType.ARRAY else None)
for t in reader.tensors:
    values = quants.dequantize(t.data, t.tensor_type).reshape([int(n) for n in reversed(t.shape)])
    if t.tensor_type == Type.F32:
        writer.add_tensor(t.name, values)
        continue
    to = Type.Q8_0 if t.name == "token_embd.weight" else wanted
    writer.add_tensor(t.name, quants.quantize(values, to), raw_dtype=to)
writer.write_header_to_file()
writer.write_kv_data_to_file()
writer.write_tensors_to_file()
writer.close()
