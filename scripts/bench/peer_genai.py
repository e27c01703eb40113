#!/usr/bin/env python3
"""onnxruntime-genai, in process, static batch, greedy, on the unrolled Llama.

  peer_genai.py --precision fp32 | int8 | int4      (int8/int4: MatMulNBits, block 32, int8 activations)
First use converts with the package's model builder; that needs BENCH_TORCH_PY (a python with torch,
transformers, onnx_ir, onnxruntime, onnxruntime-genai). Timing itself needs neither torch nor transformers.
"""
import os, subprocess, time
from common import PEERS, flags, in_process

a = flags(["fp32", "int8", "int4"])
dst = os.path.join(a.cache, "genai-" + a.precision)
if not os.path.exists(dst + "/genai_config.json"):
    subprocess.run([os.environ.get("BENCH_TORCH_PY", os.path.join(PEERS, "torch/bin/python")), "-W", "ignore", "-m",
                    "onnxruntime_genai.models.builder", "-i", os.path.join(a.models, "unrolled"), "-o", dst,
                    "-p", a.precision, "-e", "cpu", "-c", os.path.join(a.cache, "hf")],
                   check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
import numpy as np, onnxruntime, onnxruntime_genai as og

cfg = og.Config(dst)
cfg.overlay('{"model":{"decoder":{"session_options":{"intra_op_num_threads":%d}}}}' % a.threads)
model = og.Model(cfg)


def run(ids, new):
    p = og.GeneratorParams(model)
    n = a.prompt + new
    p.set_search_options(max_length=n, min_length=n, batch_size=len(ids), do_sample=False, past_present_share_buffer=True)
    g = og.Generator(model, p)
    t0 = time.perf_counter()
    g.append_tokens(np.array(ids, dtype=np.int32))
    g.generate_next_token()
    t1 = time.perf_counter()
    for _ in range(new - 1):
        g.generate_next_token()
    t2 = time.perf_counter()
    return t1 - t0, t2 - t1, [g.get_sequence(i)[a.prompt:].tolist() for i in range(len(ids))]


in_process("onnxruntime-genai", f"{og.__version__}/ort{onnxruntime.__version__}", "unrolled", a, run)
