"""What people are shown of a prompt is what the model sees."""

import numpy as np
from blocks import context_of, prompter_of, told_log

from recollect.prompt.prompter import Dropped
from recollect.prompt.show import describe


def test_one_candidate_is_written_out_without_padding():
    prompter = prompter_of()
    line = context_of(told_log()).timeline(0).until(5)
    question = prompter.question(line, np.array([2, 9], np.int32), np.zeros((2, 4), np.float32))
    vocabulary = prompter.layout.phrases.vocabulary
    for number, title in enumerate(("Cats and Dogs", "Jay")):
        shown = describe(question, number, vocabulary=vocabulary)
        assert shown.text.endswith(f'like "{title}"? Answer:')
        assert vocabulary.decode(shown.tokens) == shown.text
        assert shown.position == len(shown.tokens) - 1
        assert shown.dropped == Dropped()
