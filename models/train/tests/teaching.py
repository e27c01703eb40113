"""What a batch of plain texts teaches, read back from its tokens."""

from looptrain.task import IGNORE


def taught(task, batch):
    """Each prompt with a loss and the answer that it teaches."""
    tokens = task.tokenizer
    for row, targets in zip(batch.ids.tolist(), batch.targets.tolist()):
        for place, target in enumerate(targets[:-1]):
            if target != IGNORE:
                yield tokens.decode(row[: place + 1]), tokens.decode([target])


def endings(task, batch):
    """Each row's text before its last token, that token, and whether the end is told behind it."""
    tokens = task.tokenizer
    for row, targets in zip(batch.ids.tolist(), batch.targets.tolist()):
        yield tokens.decode(row[:-1]), tokens.decode(row[-1:]), targets[-1] == tokens.EOS
