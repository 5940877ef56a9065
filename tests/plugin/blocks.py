"""Block prompts for tests: a log with ties, a catalog with awkward titles, a small byte-level tokenizer."""

from functools import cache

import numpy as np
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

from recollect.context.block_evidence import BlockChooser
from recollect.context.demonstrations import DemonstrationSettings
from recollect.context.evidence import Context, HistoryView
from recollect.context.retrieval import Neighbours
from recollect.data.catalog import Catalog, Users
from recollect.data.log import EventLog
from recollect.data.past import PastRule
from recollect.prompt import wording
from recollect.prompt.answers import Answers, AnswerSettings
from recollect.prompt.block import BlockLayout, BlockSettings
from recollect.prompt.block_prompter import BlockPrompter
from recollect.prompt.vocabulary import ChatFrame, Vocabulary

SPECIAL = ["<s>", "<user>", "</user>", "<reply>"]
TITLES = ("Ants", "Bees", "Cats and Dogs", "Deer", "Elk", "Fox", 'The "Gnu"', "Hen <s>", "Ibis? Answer: yes", "Jay")
CATALOG = Catalog(ids=tuple(TITLES), titles=TITLES, genres=((),) * len(TITLES), years=np.zeros(len(TITLES), np.int16))
USERS = Users(("u0", "u1", "u2"), {"gender": ("F", "", "M"), "age": ("25", "", "")})


def random_log(*, count: int, span: int, seed: int) -> EventLog:
    """Make events of three users in a span of seconds, with many ties when it is short; no user meets an item twice."""
    random = np.random.default_rng(seed)
    pairs = random.permutation(3 * len(TITLES))[:count]
    liked = random.random(len(pairs)) < 0.5
    return EventLog.sorted(
        user=(pairs // len(TITLES)).astype(np.int32),
        item=(pairs % len(TITLES)).astype(np.int32),
        time=random.integers(0, span, len(pairs)),
        value=np.where(liked, 4.5, 2).astype(np.float32),
        label=liked,
        user_count=3,
        item_count=len(TITLES),
    )


def told_log() -> EventLog:
    """Make one event a day for user 0, on the items in order, every third of them disliked."""
    items = np.arange(len(TITLES), dtype=np.int32)
    liked = items % 3 != 2
    return EventLog(
        user=np.zeros(len(items), np.int32),
        item=items,
        time=86_400 * np.arange(len(items)),
        value=np.where(liked, 4, 1.5).astype(np.float32),
        label=liked,
        user_count=3,
        item_count=len(items),
    )


@cache
def byte_vocabulary(*texts: str, prefix_space: bool = False) -> Vocabulary:
    """Train byte-level pairs, as those of the GPT-2 family; without texts every byte is a token."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=prefix_space)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=SPECIAL, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(list(texts) * 2, trainer)
    return Vocabulary(tokenizer, opening=(0,), frame=ChatFrame("<user>", "</user><reply>"), anchor="a")


def word_vocabulary() -> Vocabulary:
    """Make a vocabulary that writes every word of the layout as one token."""
    settings, answers = BlockSettings(), AnswerSettings()
    return byte_vocabulary(*TITLES, *wording.sentences(settings, answers), *map(wording.number, range(9)))


def context_of(log: EventLog, *, ties: str = "exclude", delay: int = 0) -> Context:
    """Index a log."""
    return Context(log, rule=PastRule(ties="order" if ties == "order" else "exclude", delay=delay), prior=0.5)


def prompter_of(
    settings: BlockSettings | None = None,
    *,
    view: HistoryView | None = None,
    solved: DemonstrationSettings | None = None,
    answers: AnswerSettings | None = None,
    vocabulary: Vocabulary | None = None,
    seed: int = 0,
) -> BlockPrompter:
    """Make a prompter of the catalog above: by default three recent likes and two demonstrations."""
    vocabulary = vocabulary or word_vocabulary()
    view = view or HistoryView(shown=3, feedback="likes")
    found = Answers.in_context(vocabulary, answers or AnswerSettings(), marker=wording.MARKER)
    layout = BlockLayout.of(
        vocabulary, CATALOG, USERS, settings=settings or BlockSettings(), history=view, answers=found
    )
    directions = np.random.default_rng(seed).normal(size=(len(TITLES), 4)).astype(np.float32)
    chooser = BlockChooser(view, solved or DemonstrationSettings(count=2), Neighbours(directions))
    return BlockPrompter(layout, chooser)
