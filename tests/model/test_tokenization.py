"""What the prompt room learns from a tokenizer: copy, opening token, chat frame."""

import pytest
from backbones import make_tokenizer
from transformers import CanineTokenizer

from recollect.errors import ModelError
from recollect.model.tokenization import vocabulary_of

CHAT = (
    "{{ bos_token }}{% for m in messages %}<user>{{ m['content'] | trim }}</user>{% endfor %}"
    "{% if add_generation_prompt %}<bot>{% if enable_thinking is false %}<done>{% endif %}{% endif %}"
)


@pytest.mark.parametrize(("begins", "opening"), [(True, (0,)), (False, ())])
def test_a_prompt_opens_as_the_tokenizer_opens_a_text(begins: bool, opening: tuple[int, ...]):
    vocabulary = vocabulary_of(make_tokenizer(begins=begins))
    assert (vocabulary.opening, vocabulary.frame) == (opening, None)


def test_special_tokens_in_a_title_are_text_and_the_tokenizer_stays_as_it_was():
    tokenizer = make_tokenizer(begins=True)
    vocabulary = vocabulary_of(tokenizer)
    (title,) = vocabulary.encode(["<begin> of the night"])
    assert 0 not in title
    assert vocabulary.decode(title) == "<begin> of the night"
    assert tokenizer("<begin>", add_special_tokens=False)["input_ids"] == [0]


@pytest.mark.parametrize(("begins", "before"), [(True, "<user>"), (False, "<begin><user>")])
def test_a_chat_template_becomes_a_frame_that_opens_once(begins: bool, before: str):
    tokenizer = make_tokenizer(begins=begins)
    tokenizer.chat_template = CHAT
    frame = vocabulary_of(tokenizer).frame
    assert frame is not None
    assert (frame.before, frame.after) == (before, "</user><bot><done>")


@pytest.mark.parametrize(
    "template", ["{{ raise_exception('system first') }}", "no message", "{{ messages[0].content * 2 }}"]
)
def test_a_template_that_does_not_frame_one_message_is_none(template: str):
    tokenizer = make_tokenizer(begins=True)
    tokenizer.chat_template = template
    assert vocabulary_of(tokenizer).frame is None


def test_a_slow_tokenizer_is_refused():
    with pytest.raises(ModelError, match="tokenizer"):
        vocabulary_of(CanineTokenizer())
