"""Answers: their tokens as found behind the marker, and words that cannot be told apart refused."""

import pytest
from blocks import byte_vocabulary, word_vocabulary
from tokenizers import Tokenizer, models, trainers

from recollect.errors import ModelError
from recollect.prompt.answers import Answers, AnswerSettings
from recollect.prompt.vocabulary import Vocabulary
from recollect.prompt.wording import MARKER


def found(vocabulary: Vocabulary, *, like: str = "yes", dislike: str = "no") -> Answers:
    return Answers.in_context(vocabulary, AnswerSettings(like=like, dislike=dislike), marker=MARKER)


def test_answers_are_the_tokens_behind_the_marker():
    vocabulary = word_vocabulary()
    answers = found(vocabulary)
    assert answers.words == ("no", "yes")
    assert [vocabulary.tokenizer.id_to_token(tokens[0]) for tokens in answers.tokens] == ["Ġno", "Ġyes"]
    assert (answers.single, answers.slots) == (True, 1)


@pytest.mark.parametrize("like", ["yes", "gladly", "sehr gern", "好"])
@pytest.mark.parametrize("prefix_space", [False, True])
def test_words_of_several_tokens_are_spelled_out(like: str, prefix_space: bool):
    vocabulary = byte_vocabulary(prefix_space=prefix_space)
    answers = found(vocabulary, like=like)
    dislike, liked = answers.tokens
    assert len(liked) == 1 + len(like.encode())  # every byte is a token, and so is the space
    assert answers.slots == len(dislike) + len(liked) - 1


@pytest.mark.parametrize(("dislike", "like"), [("no", "no"), ("no", "now"), ("yes!", "yes")])
def test_answers_that_begin_each_other_are_refused(dislike: str, like: str):
    with pytest.raises(ModelError, match=r"set answers\.like"):
        found(byte_vocabulary(), dislike=dislike, like=like)


def test_an_answer_that_flows_into_the_marker_is_refused():
    tokenizer = Tokenizer(models.BPE())  # without words, pairs are merged across every border
    tokenizer.train_from_iterator([" Answer: yes", " no"] * 2, trainers.BpeTrainer(show_progress=False))
    with pytest.raises(ModelError, match="flow into"):
        found(Vocabulary(tokenizer, opening=()))


@pytest.mark.parametrize("tokens", [((), (1,)), ((1,), (1,)), ((1, 2), (1,))])
def test_tokens_that_tell_nothing_apart_are_refused(tokens):
    with pytest.raises(ModelError, match="cannot tell apart"):
        Answers(("no", "yes"), tokens)
