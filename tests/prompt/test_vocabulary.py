"""Vocabularies: the same tokens as in running text, special tokens only where they are meant."""

import numpy as np
import pytest
from blocks import SPECIAL, byte_vocabulary, word_vocabulary

from recollect.prompt.vocabulary import BEGIN, ChatFrame, Vocabulary

TEXT = 'Liked: "Ants" "Bees" nothing'


def test_a_vocabulary_of_our_own_opens_with_begin_and_has_no_frame():
    vocabulary = Vocabulary.train(["Ants and Bees"], size=300)
    assert (vocabulary.opening, vocabulary.frame, vocabulary.anchor) == ((BEGIN,), None, "")
    assert vocabulary.decode(vocabulary.encode(["Ants"])[0]) == " Ants"


def test_a_saved_vocabulary_reads_special_tokens_as_text(tmp_path):
    Vocabulary.train(["Ants"], size=300).save(tmp_path / "tokenizer.json")
    loaded = Vocabulary.load(tmp_path / "tokenizer.json")
    assert not set(loaded.encode(["<like> <item>"])[0].tolist()) & set(range(5))


@pytest.mark.parametrize("prefix_space", [False, True])
@pytest.mark.parametrize("cut", [6, 13, 20])
def test_anchored_pieces_have_the_tokens_of_running_text(cut: int, prefix_space: bool):
    vocabulary = byte_vocabulary(TEXT, prefix_space=prefix_space).alone()
    running = vocabulary.encode([TEXT])[0].tolist()
    first, second = TEXT[:cut], TEXT[cut:]
    assert second[0] == " "
    pieces = [*vocabulary.encode([first])[0], *vocabulary.anchored().encode([second])[0]]
    assert pieces == running


def test_a_piece_that_flows_into_the_anchor_is_encoded_alone():
    vocabulary = byte_vocabulary("abbbb " * 9)
    assert vocabulary.decode(vocabulary.encode(["bbbb"])[0]) == "bbbb"


def test_special_tokens_count_in_markup_and_nowhere_else():
    vocabulary = word_vocabulary()
    marked = vocabulary.encode_markup("<user> Ants</user>")
    assert [marked[0], marked[-1]] == [SPECIAL.index("<user>"), SPECIAL.index("</user>")]
    assert not np.isin(vocabulary.encode(["<user> Ants</user>"])[0], range(4)).any()
    assert np.array_equal(vocabulary.encode_markup("<user> Ants</user>"), marked)


def test_what_others_set_on_the_tokenizer_changes_no_piece():
    vocabulary = Vocabulary(byte_vocabulary(TEXT).tokenizer, opening=(), frame=ChatFrame("", ""), anchor="a")
    before = vocabulary.encode([TEXT, "?"])
    vocabulary.tokenizer.enable_padding()
    vocabulary.tokenizer.enable_truncation(2)
    after = vocabulary.encode([TEXT, "?"])
    assert [tokens.tolist() for tokens in before] == [tokens.tolist() for tokens in after]
