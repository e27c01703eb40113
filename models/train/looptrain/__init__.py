"""Train looped language models (k layers applied L times) at sizes that two CPU cores can train.

The way of a run: a task (`addition`) makes batches, `train` fits a `model.LoopedLlama` on them with
`muon`, `evaluate` measures greedy exact match by loop count, `checkpoint` writes the Hugging Face layout
that the Go exporter reads. Nothing here is needed to serve a model.
"""
