"""Counting what is read."""

from recollect.tuning.reading import Reading


def test_a_reading_counts_prompts_tokens_and_padding():
    reading = Reading.of([[10, 30, 16], [5]], rows=9, longest=21)
    # 56 tokens in two rows of 30, 5 tokens in one row of 5: (60 x 30 + 5 x 5) / 65 = 28 tokens in the row of a token
    assert reading == Reading(rows=9, prompts=4, tokens=61, padded=65, longest=21, row_tokens=28, batch_tokens=60)
    assert reading.times(2.0).tokens == 122
    assert Reading.of([], rows=0) == Reading(0, 0, 0, 0, 0, 0, 0)
