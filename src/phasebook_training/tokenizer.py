"""A CLIP tokenizer of our own: byte pairs of the prompts alone, a few kilobytes instead of 49 000 tokens."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jaxtyping import Int
from torch import Tensor

from phasebook.models.pipelines.checkpoints import cause
from phasebook.scratch import scratch
from phasebook_training.loop import written

__all__ = ["LENGTH", "save_tokenizer", "tokenizer_of_run", "tokens"]

LENGTH = 16                 # tokens of a prompt, with its begin and end
VOCABULARY = 1500
TABLE, CONFIG = "tokenizer.json", "tokenizer_config.json"


@contextmanager
def tokenizer_of_run(folder: Path, prompts: list[str], start: Path | None = None) -> Iterator:
    """The CLIPTokenizer in `folder`, so that a resumed run keeps its words; at first `start`'s, or a new one, which
    comes to lie there when the context ends well: a `start` that is refused in it leaves no words.

    Raises:
        ValueError: one line, where it does not load.
        OSError: it cannot be written.
    """
    if (folder / TABLE).is_file():
        # learnt anew the words could have other numbers than in the run's checkpoint
        yield _loaded(folder, f"remove {folder.parent} to start anew")
        return
    with scratch("words") as learnt:
        source = start if start and (start / TABLE).is_file() else learnt
        if source == learnt:
            save_tokenizer(learnt, prompts)
        yield _loaded(source)
        with written(folder) as out:
            out.mkdir()
            for name in (TABLE, CONFIG):
                shutil.copy(source / name, out / name)


def _loaded(folder: Path, remedy: str = "takes a start with both"):
    from transformers import CLIPTokenizer

    try:
        if not (folder / CONFIG).is_file():
            raise FileNotFoundError(f"no {CONFIG}")
        return CLIPTokenizer.from_pretrained(folder)
    except Exception as error:          # the library has none of its own
        raise ValueError(f"{folder}: holds no whole {TABLE} and {CONFIG} ({cause(error)}); {remedy}") from None


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
    lengths = [len(ids) for ids in tokenizer(prompts).input_ids]
    if max(lengths) > LENGTH:
        raise ValueError(f"caption {prompts[lengths.index(max(lengths))]!r}: more than {LENGTH} tokens")


def _learnt(learner) -> dict:
    """Vocabulary and merges of a trained byte-pair model, read from its JSON."""
    import json

    return json.loads(learner.to_str())["model"]
