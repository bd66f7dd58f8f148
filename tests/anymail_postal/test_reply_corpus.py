"""Replies as mail programs write them: no word of an author is lost, and the mail that they answer goes."""

from __future__ import annotations

import pytest

from anymail_postal.quotation_words import LANGUAGES
from anymail_postal.reply_text import whole_text
from tests import replies

SAMPLES = replies.samples()


def of(sample: replies.Sample) -> str:
    return f"{sample.program}: {sample.name}"


@pytest.mark.parametrize("sample", SAMPLES, ids=of)
def test_no_word_of_the_author_is_lost(sample):
    assert replies.has_all_words(sample), replies.stripped(sample)


def test_nearly_all_quotations_go():
    quoting = [sample for sample in SAMPLES if sample.quoted]
    left = [of(sample) for sample in quoting if not replies.is_clean(sample)]
    assert len(left) <= 0.05 * len(quoting), left


def test_what_mail_programs_sign_with_goes():
    signed = [sample for sample in SAMPLES if sample.absent]
    assert len(signed) > 15
    assert [of(sample) for sample in signed if not replies.is_clean(sample)] == []


@pytest.mark.parametrize("program", replies.PROGRAMS)
def test_the_corpus_has_each_great_program_in_many_languages(program):
    languages = {sample.language for sample in SAMPLES if sample.program == program and sample.quoted}
    assert len(languages) >= 25


def test_the_corpus_is_large_and_names_known_languages():
    assert len(SAMPLES) >= 150
    assert {sample.language for sample in SAMPLES} <= {language.code for language in LANGUAGES}
    assert len({of(sample) for sample in SAMPLES}) == len(SAMPLES)


@pytest.mark.parametrize("sample", SAMPLES, ids=of)
def test_a_quotation_is_in_the_sample_to_begin_with(sample):
    whole = f"{whole_text(sample.text).text}\n{whole_text(None, sample.html).text}"
    assert [each for each in sample.quoted + sample.absent if each not in whole] == []


def test_the_documentation_has_the_table_of_what_is_recognized():
    assert replies.PAGE.read_text("utf-8") == replies.page()
