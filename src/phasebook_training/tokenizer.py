"""A CLIP tokenizer of our own: byte pairs of the prompts alone, a few kilobytes instead of 49 000 tokens."""

import os
import shutil
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from phasebook.models.pipelines.checkpoints import cause

__all__ = ["LENGTH", "save_tokenizer", "tokenizer_of_run", "tokens"]

LENGTH = 16                 # tokens of a prompt, with its begin and end
VOCABULARY = 1500


def tokenizer_of_run(folder: Path, prompts: list[str], start: Path | None = None):
    """The CLIPTokenizer in `folder`, so that a resumed run keeps its words; at first `start`'s, or a new one.

    Raises ValueError, one line, where it does not load.
    """
    from transformers import CLIPTokenizer

    if not (folder / "tokenizer.json").is_file():
        if start and (start / "tokenizer.json").is_file():
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("tokenizer.json", "tokenizer_config.json"):
                shutil.copy(start / name, folder / name)
        else:
            save_tokenizer(folder, prompts)
    try:
        return CLIPTokenizer.from_pretrained(folder)
    except Exception as error:          # the library has none of its own
        # learnt anew the words could have other numbers than in the run's checkpoint
        raise ValueError(f"{folder}: holds no whole tokenizer.json and tokenizer_config.json ({cause(error)}); remove "
                         f"{folder.parent} to start anew") from None


def tokens(tokenizer, prompts: list[str]) -> Int[Tensor, "n length"]:
    """The numbers of the tokens of prompts, padded with the end to LENGTH."""
    return tokenizer(prompts, padding="max_length", max_length=LENGTH, truncation=True, return_tensors="pt").input_ids


def save_tokenizer(folder: Path, prompts: list[str]) -> None:
    """Train byte pairs on `prompts` and write `folder` as a transformers CLIPTokenizer.

    Raises ValueError where a prompt is longer than LENGTH tokens: it would be cut in training.
    """
    from tokenizers import Tokenizer, models, trainers
    from transformers import CLIPTokenizer

    blank = CLIPTokenizer().backend_tokenizer
    learner = Tokenizer(models.BPE(end_of_word_suffix="</w>", unk_token="<|endoftext|>"))
    learner.normalizer, learner.pre_tokenizer = blank.normalizer, blank.pre_tokenizer
    letters = [chr(c) for c in range(ord("!"), ord("~") + 1)]
    # Ties between pairs are decided by their numbers, and letters are numbered in the order of a hash table: named
    # as special tokens they get the same numbers every time, and so does all that follows.
    learner.train_from_iterator(prompts, trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2, min_frequency=1, end_of_word_suffix="</w>", show_progress=False,
        special_tokens=[*letters, *(f"{c}</w>" for c in letters)]))
    learnt = _learnt(learner)
    vocabulary = dict(learnt["vocab"])
    for token in ("<|startoftext|>", "<|endoftext|>"):          # the end must have the largest id of all
        vocabulary[token] = len(vocabulary)
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[tuple(m) for m in learnt["merges"]], model_max_length=LENGTH)
    os.makedirs(folder, exist_ok=True)
    tokenizer.save_pretrained(folder)
    longest = max(prompts, key=lambda p: len(tokenizer(p).input_ids))
    if len(tokenizer(longest).input_ids) > LENGTH:
        raise ValueError(f"caption {longest!r}: more than {LENGTH} tokens")


def _learnt(learner) -> dict:
    """Vocabulary and merges of a trained byte-pair model, read from its JSON."""
    import json

    return json.loads(learner.to_str())["model"]
