"""One token per character, and its tokenizer.json for Hugging Face `tokenizers`."""


class CharTokenizer:
    """Ids: <pad> 0, <unk> 1, <eos> 2, then the characters in the order given. No token is added to a prompt."""

    SPECIAL = ("<pad>", "<unk>", "<eos>")
    PAD, UNK, EOS = range(3)

    def __init__(self, characters: str):
        self.tokens = [*self.SPECIAL, *characters]
        self.ids = {token: i for i, token in enumerate(self.tokens)}

    def __len__(self) -> int:
        return len(self.tokens)

    def encode(self, text: str) -> list[int]:
        return [self.ids.get(character, self.UNK) for character in text]

    def decode(self, ids) -> str:
        """Text up to the first <eos>; special tokens leave nothing."""
        text = []
        for i in ids:
            if i == self.EOS:
                break
            if i >= len(self.SPECIAL):
                text.append(self.tokens[i])
        return "".join(text)

    def to_hf(self) -> dict:
        """tokenizer.json: WordLevel over single characters; Fuse joins them again without spaces."""
        special = [
            {"id": i, "content": token, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": True}
            for i, token in enumerate(self.SPECIAL)
        ]  # fmt: skip
        return {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": special,
            "normalizer": None,
            "pre_tokenizer": {"type": "Split", "pattern": {"Regex": r"[\s\S]"}, "behavior": "Isolated", "invert": False},
            "post_processor": None,
            "decoder": {"type": "Fuse"},
            "model": {"type": "WordLevel", "vocab": self.ids, "unk_token": "<unk>"},
        }

    def config_to_hf(self, max_length: int) -> dict:
        return {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "pad_token": "<pad>",
            "unk_token": "<unk>",
            "eos_token": "<eos>",
            "bos_token": None,
            "add_bos_token": False,
            "add_eos_token": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": max_length,
        }
