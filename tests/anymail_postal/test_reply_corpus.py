"""Replies as mail programs write them: no word of an author is lost, and the mail that they answer goes."""

from __future__ import annotations

import pytest

from anymail_postal.quotation_words import LANGUAGES
from anymail_postal.reply_text import whole_text
from tests import replies
from tests.each import each


@pytest.fixture(scope="module")
def samples() -> tuple[replies.Sample, ...]:
    return replies.samples()


def of(sample: replies.Sample) -> str:
    return f"{sample.program}: {sample.name}"


def test_no_word_of_the_author_is_lost(samples):
    lost = {of(sample): replies.stripped(sample) for sample in samples if not replies.has_all_words(sample)}
    assert not lost


def test_nearly_all_quotations_go(samples):
    quoting = [sample for sample in samples if sample.quoted]
    left = [of(sample) for sample in quoting if not replies.is_clean(sample)]
    assert len(left) <= 0.05 * len(quoting), left


def test_what_mail_programs_sign_with_goes(samples):
    signed = [sample for sample in samples if sample.absent]
    assert len(signed) > 15
    assert [of(sample) for sample in signed if not replies.is_clean(sample)] == []


@each("program", replies.PROGRAMS)
def test_the_corpus_has_each_great_program_in_many_languages(program, samples):
    languages = {sample.language for sample in samples if sample.program == program and sample.quoted}
    assert len(languages) >= 25


def test_the_corpus_is_large_and_names_known_languages(samples):
    assert len(samples) >= 150
    assert {sample.language for sample in samples} <= {language.code for language in LANGUAGES}
    assert len({of(sample) for sample in samples}) == len(samples)


def test_a_quotation_is_in_the_sample_to_begin_with(samples):
    def absent(sample):
        whole = f"{whole_text(sample.text).text}\n{whole_text(None, sample.html).text}"
        return [each for each in sample.quoted + sample.absent if each not in whole]

    faults = {of(sample): absent(sample) for sample in samples}
    assert not {name: texts for name, texts in faults.items() if texts}


def test_the_documentation_has_the_table_of_what_is_recognized():
    assert replies.PAGE.read_text("utf-8") == replies.page()
