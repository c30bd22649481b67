"""What the files of a pipeline say."""

from tokenizers import Tokenizer

from phasebook.models.pipelines.vocabulary import picture_size, unknown_word
from tests.builders import build


def test_words_without_tokens_and_sizes_are_read_from_files(tmp_path):
    folder = build(tmp_path, "v_prediction")
    assert unknown_word(folder, "red apple") is None and unknown_word(folder, "red äpfel") == "äpfel"
    assert picture_size(folder) == 16 and picture_size(tmp_path) is None
    file = folder / "tokenizer" / "tokenizer.json"
    padded = Tokenizer.from_file(str(file))
    padded.enable_padding(pad_id=padded.token_to_id("<|endoftext|>"), length=16)
    padded.save(str(file))
    assert unknown_word(folder, "red apple") is None and unknown_word(folder, "red äpfel") == "äpfel"
    assert unknown_word(tmp_path, "anything") is None
