"""Adds ONNX Runtime to a CycloneDX SBOM of the binary: sbom.py BOM MACHINE, the pinned release and its hash from pin.json."""
import json
import pathlib
import sys

bom = json.loads(pathlib.Path(sys.argv[1]).read_text())
pin = json.loads(pathlib.Path("runtime/ort/pin.json").read_text())
version, library = pin["version"], pin["files"][sys.argv[2]]
ref = f"pkg:pypi/onnxruntime@{version}"
bom["metadata"].pop("tools", None)  # the hashes of the tool that was built on this machine: not the same on another
bom["components"].append({
    "bom-ref": ref, "type": "library", "name": "onnxruntime", "version": version, "purl": ref, "scope": "required",
    "hashes": [{"alg": "SHA-256", "content": library["sha256"]}],
    "licenses": [{"license": {"id": "MIT"}}],
    "properties": [{"name": "loopserve:file", "value": library["member"]}],
})
for d in bom["dependencies"]:
    if d["ref"] == bom["metadata"]["component"]["bom-ref"]:
        d["dependsOn"] = sorted([*d.get("dependsOn", []), ref])
bom["dependencies"].append({"ref": ref})
json.dump(bom, sys.stdout, indent=2, sort_keys=True)
print()
