"""Prompts through the tokenizers that users bring: chat templates as golden files, and spaces that are marks.

The path is that of a user's model: a tokenizer in a folder, its vocabulary and chat frame, the layout, the text.
"""

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from blocks import TITLES, context_of, prompter_of, random_log, told_log, word_vocabulary
from golden import golden
from hypothesis import given
from hypothesis import strategies as st
from tokenizers_by_family import CHATS, MARKED, Family, Kind, tokenizer_of

from recollect.model.backbone import load_tokenizer
from recollect.model.tokenization import vocabulary_of
from recollect.prompt import wording
from recollect.prompt.answers import Answers, AnswerSettings
from recollect.prompt.block import BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.show import PromptText, describe
from recollect.prompt.vocabulary import Vocabulary

GOLDEN = Path(__file__).parent / "golden"
READ = (
    *map(wording.quoted, TITLES),
    wording.intro(BlockSettings(), words=("no", "yes")),
    *(f"\n{head}: nothing" for head in ("Liked", "Disliked", "Seen")),
    *(f"\nWill this person like? Answer: {word}" for word in ("yes", "no")),
)
"""What the tokenizers are trained on: no quote stands before a question mark, so that those two stay apart."""

PLAIN = 5  # so many titles, the first ones, hold nothing that a tokenizer could take for markup


@cache
def vocabulary(kind: Kind) -> Vocabulary:
    """Train a tokenizer that marks spaces, and read it as that of a user's model."""
    return vocabulary_of(tokenizer_of(Family(kind, ("<s>", "</s>")), READ))


def shown(prompter: BlockPrompter, *, known: int = 7, item: int = 9) -> PromptText:
    """Return what user 0 of the told log is shown."""
    line = context_of(told_log()).timeline(0).until(known)
    question = prompter.question(line, np.array([item], np.int32), np.zeros((1, 4), np.float32))
    return describe(question, 0, vocabulary=prompter.layout.phrases.vocabulary)


@pytest.mark.parametrize("name", CHATS)
def test_golden_chat(name: str, tmp_path: Path):
    tokenizer_of(CHATS[name], READ).save_pretrained(tmp_path)
    tokenizer = load_tokenizer(str(tmp_path))
    prompter = prompter_of(BlockSettings(chat=True), vocabulary=vocabulary_of(tokenizer))
    text = shown(prompter).text + "\n"
    assert text == golden(GOLDEN / f"chat-{name}.txt", text)
    message = shown(prompter_of(), known=PLAIN, item=PLAIN).text.removeprefix("<s>").removesuffix(wording.MARKER)
    chat = tokenizer.apply_chat_template(
        [{"role": "user", "content": message}], tokenize=False, add_generation_prompt=True,
        enable_thinking=False, date_string="1 Jan 2025",
    )  # fmt: skip
    rendered = tokenizer(f"{chat}{wording.MARKER.lstrip()}", add_special_tokens=False)["input_ids"]
    assert shown(prompter, known=PLAIN, item=PLAIN).tokens.tolist() == rendered


@pytest.mark.parametrize("kind", MARKED)
def test_answers_are_whole_words_behind_the_marker(kind: Kind):
    read = vocabulary(kind)
    answers = Answers.in_context(read, AnswerSettings(), marker=wording.MARKER)
    assert [[read.tokenizer.id_to_token(token) for token in one] for one in answers.tokens] == [["▁no"], ["▁yes"]]


@pytest.mark.parametrize("kind", MARKED)
def test_unknown_answers_are_spelled_out_and_stay_distinct(kind: Kind):
    read = vocabulary(kind)
    answers = Answers.in_context(read, AnswerSettings(like="好", dislike="妈"), marker=wording.MARKER)
    spelled = [["▁", *(f"<0x{byte:02X}>" for byte in word.encode())] for word in answers.words]
    assert [[read.tokenizer.id_to_token(token) for token in one] for one in answers.tokens] == spelled


def seen(prompter: BlockPrompter) -> dict[int, list[int]]:
    """Return the tokens that each row of a log sees in packed lessons, in the order of their positions."""
    random, context, rows = np.random.default_rng(0), context_of(random_log(count=12, span=20, seed=4)), np.arange(12)
    found: dict[int, list[int]] = {}
    for tree in (lesson.tree(random) for lesson in prompter.lessons(context, rows, random=random)):
        mask = tree.mask()
        for slot, row in zip(tree.slots, tree.slot_rows.tolist(), strict=True):
            places = np.flatnonzero(mask[slot])
            found[row] = tree.tokens[places][np.argsort(tree.positions[places])].tolist()
    return found


@pytest.mark.parametrize("kind", MARKED)
@pytest.mark.parametrize("supervise", ["last", "all"])
def test_packed_prompts_have_the_tokens_of_texts_written_at_once(kind: Kind, supervise):
    read, words = vocabulary(kind), word_vocabulary()
    packed, lossless = (
        seen(replace(prompter_of(vocabulary=one), supervise=supervise, blocks=4)) for one in (read, words)
    )
    assert sorted(packed) == [*range(12)]
    for row, tokens in packed.items():
        text = words.decode(np.array(lossless[row], np.int32)).removeprefix("<s>")
        assert tokens == [*read.opening, *read.alone().encode([text])[0].tolist()]
        mark = "" if kind == "plain" else " "  # of the beginning of a text
        assert read.decode(np.array(tokens, np.int32)) == f"<s>{mark}{text}"


@pytest.mark.parametrize("kind", MARKED)
@given(titles=st.lists(st.text(st.characters(exclude_characters="▁", exclude_categories=["Cs"])), max_size=4))
def test_any_title_reads_back_and_keeps_its_tokens_in_running_text(kind: Kind, titles: list[str]):
    read = vocabulary(kind)
    quoted = [wording.quoted(title) for title in titles]
    pieces = [read.alone().encode(["Liked:"])[0], *read.anchored().encode(quoted)]
    tokens = np.concatenate(pieces)
    assert tokens.tolist() == read.alone().encode(["Liked:" + "".join(quoted)])[0].tolist()
    assert read.decode(tokens) == "Liked:" + "".join(quoted)
