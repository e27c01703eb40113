#!/usr/bin/env python3
"""Puts ONNX Runtime's shared library under .cache/: the release that runtime/ort/pin.json pins, checked by sha256.

The library ships inside the onnxruntime wheel. pip only downloads it (nothing is installed, so an externally managed
Python is no obstacle), for a fixed Python version, so that every machine gets the same file. Does nothing when the
right library is there. LOOPSERVE_ORT_LIB makes all of this needless. (npm's onnxruntime-node, which carries the same
library, had no release of this version when it was pinned: without pip there is only LOOPSERVE_ORT_LIB.)
"""
import hashlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import tempfile
import zipfile

ROOT = pathlib.Path(__file__).resolve().parent.parent


def sha256(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        for block in iter(lambda: f.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def main():
    pin = json.loads((ROOT / "runtime/ort/pin.json").read_text())
    machine = {"amd64": "x86_64", "arm64": "aarch64"}.get(platform.machine(), platform.machine())
    if platform.system() != "Linux" or machine not in pin["files"]:
        sys.exit(f"no ONNX Runtime is pinned for {platform.system()} {machine}: "
                 f"set LOOPSERVE_ORT_LIB to a libonnxruntime.so of version {pin['version']} or newer")
    want = pin["files"][machine]
    target = ROOT / ".cache/ort" / pin["version"] / machine / f"libonnxruntime.so.{pin['version']}"
    if target.exists():
        if sha256(target) == want["sha256"]:
            return
        print(f"{target} is damaged: fetching it again", file=sys.stderr)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent) as temp:
        tag = want["wheel"].removesuffix(".whl").split("-")[-1]
        print(f"fetching ONNX Runtime {pin['version']} for {machine} …", file=sys.stderr)
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--only-binary=:all:", "--implementation", "cp", "--python-version", "3.12", "--abi", "cp312",
                   "--platform", tag, "--dest", temp, f"onnxruntime=={pin['version']}"]
        if subprocess.run(command).returncode != 0:
            sys.exit("pip could not download the onnxruntime wheel (see above). Python 3 with pip and access to its "
                     "package index are needed once; or set LOOPSERVE_ORT_LIB to a libonnxruntime.so that you have")
        wheel = pathlib.Path(temp) / want["wheel"]
        if not wheel.exists():
            sys.exit(f"pip downloaded {os.listdir(temp)}, not {want['wheel']}")
        if sha256(wheel) != want["wheel_sha256"]:
            sys.exit(f"{want['wheel']} has sha256 {sha256(wheel)}, pinned is {want['wheel_sha256']}: not used")
        with zipfile.ZipFile(wheel) as z:
            z.extract(want["member"], temp)
        library = pathlib.Path(temp) / want["member"]
        if sha256(library) != want["sha256"]:
            sys.exit(f"{want['member']} has sha256 {sha256(library)}, pinned is {want['sha256']}: not used")
        library.chmod(0o755)
        library.replace(target)
    print(target, file=sys.stderr)


main()
