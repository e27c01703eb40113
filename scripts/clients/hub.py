"""huggingface_hub on the cache that loopserve shares with it, against the hub of HF_ENDPOINT.

usage: hub.py fetch ORG/NAME           fetches all of the repository
       hub.py read ORG/NAME FILE...    reads these files from the cache alone, and compares each with its hash
"""

import hashlib
import os
import sys

import huggingface_hub

command, repo, *files = sys.argv[1:]
print("huggingface_hub", huggingface_hub.__version__)
folder = huggingface_hub.snapshot_download(repo)
print(folder)
if command == "read":
    for name in files:
        path = huggingface_hub.hf_hub_download(repo, name)
        assert path == os.path.join(folder, name), path
        with open(path, "rb") as f:
            content = f.read()
        etag = os.path.basename(os.path.realpath(path))
        git = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
        assert etag in (git, hashlib.sha256(content).hexdigest()), f"{name} is the blob {etag}"
        print(f"{name}: {len(content)} bytes, as its hash says")
cache = huggingface_hub.scan_cache_dir()
assert not cache.warnings, cache.warnings
(found,) = [r for r in cache.repos if r.repo_id == repo]
(revision,) = found.revisions
assert revision.refs == {"main"}, revision.refs
assert not files or {f.file_name for f in revision.files} == set(files), revision.files
