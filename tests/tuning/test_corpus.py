"""The pretraining corpus: what it tells, that nothing later is told, and how it becomes rows of tokens."""

from collections import Counter
from dataclasses import replace
from itertools import islice

import numpy as np
import pytest
from pydantic import ValidationError
from transformers import PreTrainedTokenizerFast
from worlds import planted_world

from recollect.data.splits import Split, split_by_time
from recollect.errors import DataError
from recollect.tuning.corpus import (
    BEGIN,
    END,
    Corpus,
    CorpusMix,
    pack,
    tell_lists,
    tell_ratings,
    told_rows,
    train_tokenizer,
)

TITLES = [' "Heat (1995)"', ' "Alien (1979)"', ' "Big (1988)"']
LIKES = [True, False, True]


@pytest.fixture(scope="module")
def world():
    return planted_world()


@pytest.fixture(scope="module")
def corpus(world):
    return Corpus(world, np.arange(300), CorpusMix())


@pytest.fixture(scope="module")
def tokenizer(corpus):
    return train_tokenizer(islice(corpus.documents(seed=1), 300), size=400)


@pytest.mark.parametrize(
    ("values", "say_likes", "told"),
    [
        (
            [4.0, 2.5, 5.0],
            True,
            '"Heat (1995)" 4 liked "Alien (1979)" 2.5 disliked "Big (1988)" 5 liked',
        ),
        ([4.0, 1.0, 5.0], False, '"Heat (1995)" 4 "Alien (1979)" 1 "Big (1988)" 5'),
        ([], True, '"Heat (1995)" liked "Alien (1979)" disliked "Big (1988)" liked'),
    ],
    ids=["stars and likes", "stars", "likes"],
)
def test_ratings_are_told_in_time_order(values, say_likes, told):
    assert tell_ratings(TITLES, LIKES, values, say_likes=say_likes) == f"Stars: {told}"


@pytest.mark.parametrize(
    ("likes", "told"),
    [
        (LIKES, 'Liked: "Heat (1995)" "Big (1988)"\nDisliked: "Alien (1979)"'),
        ([False] * 3, 'Liked: nothing\nDisliked: "Heat (1995)" "Alien (1979)" "Big (1988)"'),
    ],
)
def test_lists_part_likes_from_dislikes(likes, told):
    assert tell_lists(TITLES, likes) == told


def test_every_kind_of_document_comes_as_often_as_the_mix_says(corpus):
    documents = list(islice(corpus.documents(seed=0), 4000))
    kinds = Counter(
        "questions" if "Answer:" in text else {"T": "catalog", "S": "ratings", "L": "lists"}[text[0]]
        for text in documents
    )
    for kind, share in CorpusMix().model_dump(exclude={"stretch"}).items():
        assert kinds[kind] / len(documents) == pytest.approx(share, abs=0.03)


def test_a_catalog_line_tells_title_and_kinds(world):
    mix = CorpusMix(catalog=0.99, ratings=0.01, lists=0, questions=0)
    lines = {text for text in islice(Corpus(world, np.arange(9), mix).documents(seed=0), 300) if text[0] == "T"}
    assert len(lines) == len(world.catalog)
    assert 'The title "Comedy of the 4th night (1974)" is of these kinds: Comedy.' in lines


def test_questions_are_answered_as_the_log_does(world):
    """The planted world has two values: 5 is liked, 2 is not; the questions are about the last events of the person."""
    one = np.flatnonzero(world.log.user == 0)
    mix = CorpusMix(catalog=0, ratings=0, lists=0, questions=1, stretch=len(one))
    text = next(Corpus(world, one, mix).documents(seed=0))
    listed, *asked = text.split("\nWill this person like ")
    titles = [world.catalog.titles[item] for item in world.log.item[one]]
    assert len(asked) >= 1
    assert listed.count('"') // 2 + len(asked) == len(one)
    answered = zip(titles, world.log.label[one], strict=True)
    expected = [f'"{title}"? Answer: {"yes" if label else "no"}' for title, label in answered]
    assert asked == expected[-len(asked) :]


def test_a_pass_tells_every_event_once(world):
    mix = CorpusMix(catalog=0, ratings=1, lists=0, questions=0, stretch=5)
    told = Counter[str]()
    for text in Corpus(world, np.arange(200), mix).documents(seed=2):
        told.update(text.split('"')[1::2])
        if told.total() >= 200:
            break
    assert told == Counter(world.catalog.titles[item] for item in world.log.item[:200])


def test_nothing_after_the_rows_is_told(world):
    """Other values and labels after the border leave the corpus as it was."""
    log, border = world.log, 300
    changed = {
        name: np.concatenate([getattr(log, name)[:border], after])
        for name, after in {"value": log.value[border:] * 0 + 3, "label": ~log.label[border:]}.items()
    }
    other = replace(world, log=replace(log, **changed))
    first, second = (
        list(islice(Corpus(one, np.arange(border), CorpusMix()).documents(seed=5), 500)) for one in (world, other)
    )
    assert first == second


def test_a_seed_gives_a_corpus(corpus):
    first, same, other = (list(islice(corpus.documents(seed=seed), 50)) for seed in (3, 3, 4))
    assert first == same != other


def test_told_rows_end_with_the_training_part(world):
    rows = np.arange(10)
    split = Split("x", train=rows[[2, 3, 6]], valid=rows[[4, 8]], test=rows[[9]])
    assert told_rows(split).tolist() == [0, 1, 2, 3, 5, 6]
    assert np.array_equal(told_rows(split_by_time(world.log)), split_by_time(world.log).train)


def test_no_rows_are_refused(world):
    with pytest.raises(DataError, match="no events"):
        Corpus(world, np.arange(0), CorpusMix())


def test_a_mix_sums_to_one():
    with pytest.raises(ValidationError, match="sum to 1"):
        CorpusMix(questions=0.4)
    assert CorpusMix.with_questions(0.1) == CorpusMix()
    assert CorpusMix.with_questions(0.55).catalog == pytest.approx(0.05)


@pytest.mark.parametrize("after", ["", ",", ".", "?", " (4 stars)", '; "Big (1988)"'])
def test_a_title_has_the_same_tokens_whatever_follows(tokenizer, after):
    title = ' "Drama of the 3th night (1973)"'
    before, alone = tokenizer.encode("Liked:").ids, tokenizer.encode(title).ids
    assert tokenizer.encode(f"Liked:{title}{after}").ids[: len(before) + len(alone)] == before + alone


def test_a_title_often_met_is_one_token_and_pieces_of_a_prompt_stand_alone(tokenizer):
    pieces = tokenizer.encode('Liked: nothing\nWill this person like "Is it a 3: 4?"? Answer: yes').tokens
    assert [piece for piece in pieces if len(set(piece) & set(':?"Ċ')) > 1] == []
    assert not any(mark in piece[:-1] for piece in pieces for mark in ":?")


def test_answers_are_single_tokens_where_there_is_room(corpus):
    tokenizer = train_tokenizer(islice(corpus.documents(seed=1), 300), size=700)
    assert [len(tokenizer.encode(word).ids) for word in (" yes", " no")] == [1, 1]


def test_text_comes_back_whole(tokenizer):
    text = 'Liked: "Amélie  (2001)", "Ἰλιάς". Disliked: nothing.\n'
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_packed_rows_are_the_documents_end_to_end(corpus, tokenizer):
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token=BEGIN, eos_token=END)
    packed = pack(corpus.documents(seed=0), fast, count=7, length=64)
    assert packed.shape == (7, 64)
    text = tokenizer.decode(packed.ravel().tolist(), skip_special_tokens=False)
    expected = "".join(f"{BEGIN}{one}{END}" for one in islice(corpus.documents(seed=0), 60))
    assert expected.startswith(text.rstrip("\N{REPLACEMENT CHARACTER}"))
