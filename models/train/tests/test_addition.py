"""The data: no test problem is trained on, and a tree teaches what plain texts would."""

import json

import numpy as np
import torch

from looptrain import addition, checkpoint
from looptrain.config import ModelConfig
from looptrain.model import LoopedLlama
from looptrain.task import IGNORE


def trained_on(batch, terms):
    """The problems of a batch whose answers have a loss, as tuples of operands."""
    for row, targets in zip(batch.ids.tolist(), batch.targets):
        numbers = addition.TOKENIZER.decode(row[: 4 * terms - 1]).split("+")
        for branch, target in enumerate(targets):
            if (target != IGNORE).any():
                yield tuple(sorted(map(int, numbers[: branch + 2])))


def test_held_out_problems_never_carry_a_loss():
    rng = np.random.default_rng(5)
    tests = {tuple(sorted(p)) for n in addition.TERMS for p in addition.test_operands(n, 500).tolist()}
    seen = 0
    for terms in addition.TERMS:
        for _ in range(20):
            for problem in trained_on(addition.make_batch(rng, 256, terms, 0.3), terms):
                seen += 1
                assert problem not in tests
                assert problem != tuple(sorted(addition.README_PROBLEM))
    assert seen > 20_000


def test_every_order_of_the_readme_problem_is_held_out():
    assert addition.held_out(np.array([[123, 456, 789], [789, 123, 456]])).all()


def test_answers_are_right_and_end():
    batch = addition.make_batch(np.random.default_rng(1), 64, 3, 0.5)
    for row, targets in zip(batch.ids.tolist(), batch.targets):
        numbers = [int(x) for x in addition.TOKENIZER.decode(row[:11]).split("+")]
        assert all(100 <= x <= 999 for x in numbers)
        for branch, target in enumerate(targets):
            told = [t for t in target.tolist() if t != IGNORE]
            if told:
                assert addition.TOKENIZER.decode(told) == str(sum(numbers[: branch + 2]))
                assert told[-1] == addition.TOKENIZER.EOS


def test_a_tree_gives_the_logits_of_its_plain_texts():
    config = ModelConfig(vocab_size=len(addition.TOKENIZER), hidden_size=32, intermediate_size=48, num_attention_heads=2)
    model = LoopedLlama(config)
    model.init_weights(torch.Generator().manual_seed(0))
    tree = addition.TREES[4]
    batch = addition.make_batch(np.random.default_rng(2), 4, 4)
    with torch.no_grad():
        state = model.states(batch.ids, 3, tree.positions, tree.mask)[-1]
        packed = model.lm_head(model.read(state, tree.positions, tree.mask))
        for branch in range(3):
            sees, slots = 4 * (branch + 2) - 1, tree.slots[branch]
            text = torch.cat((batch.ids[:, :sees], batch.ids[:, slots]), dim=1)
            plain = model(text, 3)[:, -addition.ANSWER :]
            assert torch.allclose(packed[:, slots], plain, atol=1e-4)


def test_problem_file(tmp_path):
    checkpoint.write_problems(addition.Addition(), tmp_path / "p.jsonl", 100)
    problems = [json.loads(line) for line in (tmp_path / "p.jsonl").read_text().splitlines()]
    assert len(problems) == 100 and {p["group"] for p in problems} == {"2 terms", "3 terms", "4 terms"}
    for p in problems:
        assert sum(map(int, p["prompt"][:-1].split("+"))) == int(p["answer"])


def test_huggingface_reads_the_tokenizer():
    from tokenizers import Tokenizer

    hf = Tokenizer.from_str(json.dumps(addition.TOKENIZER.to_hf()))
    for text in ("123+456=", "9", "a1 b", ""):
        assert hf.encode(text).ids == addition.TOKENIZER.encode(text)
    assert hf.decode(addition.TOKENIZER.encode("123+456=579")) == "123+456=579"
