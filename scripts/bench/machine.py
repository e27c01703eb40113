#!/usr/bin/env python3
"""One JSON line on where and how a comparison runs: machine.py COMMAND... (what was typed). Linux."""
import json, os, subprocess, sys, time

# What the kernels of this and of other engines ask for.
FLAGS = ("avx2 fma f16c avx_vnni avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_int8 amx_bf16 "
         "asimd asimddp i8mm bf16 sve sve2").split()

cpu = {}
for l in subprocess.run(["lscpu"], capture_output=True, text=True, env=dict(os.environ, LC_ALL="C")).stdout.splitlines():
    key, _, value = l.partition(":")
    cpu[key.strip()] = value.strip()
has = cpu.get("Flags", "").split()
memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") >> 30
print(json.dumps(dict(
    machine=dict(processor=cpu.get("Model name"), vendor=cpu.get("Vendor ID"), family=cpu.get("CPU family"), model=cpu.get("Model"),
                 hypervisor=cpu.get("Hypervisor vendor", "none"), flags=[f for f in FLAGS if f in has],
                 cores=len(os.sched_getaffinity(0)), threads_of_a_core=cpu.get("Thread(s) per core"), l2=cpu.get("L2 cache"),
                 l3=cpu.get("L3 cache"), memory_gib=memory, kernel=os.uname().release),
    date=time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()), load=round(os.getloadavg()[0], 2), command=" ".join(sys.argv[1:]))))
