"""Makes the small vectors of this folder with Hugging Face's tokenizers 0.23.3:
    pip install tokenizers==0.23.3 && python make.py
The format is that of the large set, see tokenizer/vectors_test.go."""
import gzip
import json
from tokenizers import AddedToken, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers, Regex

TEXT = ["the quick brown fox jumps over the lazy dog", "loops and more loops: 123+456=579", "Hello, world! Don't stop.",
        "naïve café déjà vu", "漢字かな混じり文", "def f(x):\n    return x + 1\n", "The end of the loop is the end."] * 4
STRINGS = TEXT[:7] + ["", " ", "  \n\n  x", "'S 'll I'LL it'ſ", "e\u0301 \u1e9b\u0323 ﬁ Å", "<s>hi</s> <s>", "  <mask>  x", "a<|end|>b<|end|>",
    "İstanbul ẞ", "１２３ ²³ Ⅷ", "👩‍🚀 flag 🇩🇪", "\u200b\ufeff\x00\x07", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "x" * 100, "\U00016ea0 \U00010d50 \u1c89", "tab\tnew\r\nline", "the" * 20, "�"]

def save(name, tok):
    tok.no_padding(); tok.no_truncation()
    put = lambda kind, lines: gzip.GzipFile(f"{name}.{kind}.gz", "wb", mtime=0).write(lines.encode())
    put("tokenizer.json", tok.to_str())
    ids, dec = [], []
    for i, s in enumerate(STRINGS):
        e, w = tok.encode(s, add_special_tokens=False).ids, tok.encode(s).ids
        ids.append(json.dumps({"i": i, "ids": e, "with_special": {"ids": w}, "decode": tok.decode(e, skip_special_tokens=False),
                               "decode_skip": tok.decode(w, skip_special_tokens=True)}))
        for skip in (False, True):
            odd = e[::2] + e[::-1]
            dec.append(json.dumps({"ids": odd, "skip_special": skip, "decode": tok.decode(odd, skip_special_tokens=skip)}))
    put("ids.jsonl", "\n".join(ids)); put("decode.jsonl", "\n".join(dec))

SPECIAL = ["<unk>", "<s>", "</s>", "<|end|>"]
t = Tokenizer(models.BPE(ignore_merges=True))
t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)])
t.decoder = decoders.ByteLevel()
t.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
t.add_tokens([AddedToken("<mask>", lstrip=True, rstrip=True), AddedToken("fox", single_word=True)])
save("byte-level", t)

t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(r"\p{Lu}?\w+|[^\w\s]++|\s+"), "removed", invert=True), pre_tokenizers.Digits(True), pre_tokenizers.ByteLevel(True)])
save("expression", t)

t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
t.train_from_iterator(TEXT[:4], trainers.BpeTrainer(vocab_size=400, special_tokens=SPECIAL + [f"<0x{b:02X}>" for b in range(256)], show_progress=False))
t.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A $B", [("<s>", 1), ("</s>", 2)])
save("byte-fallback", t)

t = Tokenizer(models.Unigram())
t.normalizer = normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(), normalizers.Replace(Regex(" {2,}"), " ")])
t.pre_tokenizer = pre_tokenizers.Metaspace()
t.decoder = decoders.Metaspace()
t.train_from_iterator(TEXT, trainers.UnigramTrainer(vocab_size=120, special_tokens=SPECIAL, unk_token="<unk>", show_progress=False))
save("unigram", t)

t = Tokenizer(models.WordLevel(unk_token="<unk>"))
t.normalizer, t.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.Whitespace()
t.train_from_iterator(TEXT, trainers.WordLevelTrainer(vocab_size=60, special_tokens=SPECIAL, show_progress=False))
save("word-level", t)

gzip.GzipFile("strings.jsonl.gz", "wb", mtime=0).write("\n".join(json.dumps({"i": i, "text": s}) for i, s in enumerate(STRINGS)).encode())
