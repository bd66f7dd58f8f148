"""The new part of a reply, from mail programs and languages that the usual patterns miss."""

import subprocess
import sys
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from anymail_postal import reply_text
from anymail_postal.reply_text import ReplyText, extract_reply

QUOTE = "> Hola\n> mundo\n>\n> Ana"


def new_text(text, languages=None):
    return extract_reply(text, languages=languages).text


# The line with which Gmail introduces the mail it quotes, by the language of its user; with a short quotation
# of one line, which quotequail does not see by itself.
GMAIL = {
    "en": ("Thanks.", "On Tue, Jun 3, 2025 at 10:00 AM Ann Lee <ann@example.org> wrote:"),
    "es": ("Gracias.", "El mar, 3 jun 2025 a las 10:00, Ana Pérez (<ana@example.org>) escribió:"),
    "cs": ("Děkuji.", "út 3. 6. 2025 v 10:00 odesílatel Jan Novák <jan@example.org> napsal:"),
    "pt": ("Obrigado.", "Em ter., 3 de jun. de 2025 às 10:00, Ana Reis <ana@example.org> escreveu:"),
    "fi": ("Kiitos.", "ti 3. kesäk. 2025 klo 10.00 Matti Aho (matti@example.org) kirjoitti:"),
    "sv": ("Tack.", "Den tis 3 juni 2025 kl 10:00 skrev Anna Berg <anna@example.org>:"),
    "de": ("Danke.", "Am Di., 3. Juni 2025 um 10:00 Uhr schrieb Anna Berg <anna@example.org>:"),
    "fr": ("Merci.", "Le mar. 3 juin 2025 à 10:00, Anne Petit <anne@example.org> a écrit :"),
    "no language at all": ("Ok.", "2025-06-03 ann@example.org:"),
    "full-width colon": ("好的。", "2025年6月3日 10:00，王伟 <wang@example.org> 写道："),
}


@pytest.mark.parametrize("quote", [QUOTE, "> x"], ids=["long quote", "one line"])
@pytest.mark.parametrize(("answer", "attribution"), GMAIL.values(), ids=GMAIL)
def test_an_introduced_quotation_goes_in_every_language(answer, attribution, quote):
    assert new_text(f"{answer}\n\n{attribution}\n\n{quote}\n") == answer


@pytest.mark.parametrize("language", ["en", "es", "cs", "pt", "fi", "sv", "de", "fr"])
def test_a_broken_introduction_goes_too(language):
    answer, attribution = GMAIL[language]
    start, end = attribution.rsplit(" ", 1)
    assert new_text(f"{answer}\n\n{start}\n{end}\n\n{QUOTE}\n") == answer


TEXTS = {
    "nothing quoted": ("Hello\n\nworld", "Hello\n\nworld"),
    "white space around": ("\n\n  Hello \n\n", "Hello"),
    "indented lines stay": ("See:\n\n    code\n      more\n", "See:\n\n    code\n      more"),
    "indented lines stay above a quotation": (
        "See:\n\n    code\n      more\n\nab@example.org:\n> x",
        "See:\n\n    code\n      more",
    ),
    "CRLF": ("Hello\r\n\r\nOn Monday, Ann <a@example.org> wrote:\r\n> x\r\n", "Hello"),
    "quotation without an introduction": ("Hello\n\n> a\n> b\n", "Hello"),
    "introduction without an address stays": ("Hello\n\nAnn dixit:\n> a\n> b\n", "Hello\n\nAnn dixit:"),
    "line with an address but no colon stays": (
        "Hello\n\nwrite to ann@example.org\n\n> a\n",
        "Hello\n\nwrite to ann@example.org",
    ),
    "a question above": ("Who is ann@example.org?\n\n> a", "Who is ann@example.org?"),
    "answers below": ("On Monday, Ann <a@example.org> wrote:\n> a\n> b\n\nMy answer.\n", "My answer."),
    "answers between": (
        "On Monday, Ann <a@example.org> wrote:\n> one?\n\nYes.\n\n> two?\n\nNo.\n",
        "Yes.\n\n> two?\n\nNo.",
    ),
    "answers between below a greeting: the shortest wins": (
        "Hi Ann\n\nOn Monday, Ann <a@example.org> wrote:\n> one?\n\nYes.\n\n> two?\n\nNo.\n",
        "Hi Ann",
    ),
    "Outlook": (
        "Fine.\n\n-----Original Message-----\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: x\n\nHow?\n",
        "Fine.",
    ),
    "Outlook, German": (
        "Gut.\n\nVon: Ann <a@example.org>\nGesendet: Montag\nAn: Bob\nBetreff: x\n\nWie?\n",
        "Gut.",
    ),
    "underscores": ("Fine.\n\n" + "_" * 32 + "\nFrom: Ann\nSent: Monday\nTo: Bob\n\nHow?\n", "Fine."),
    "a rule of the author's own": (
        "One.\n\n" + "-" * 40 + "\nTwo.\nThree.\n\nAm Montag schrieb Ann <a@example.org>:\n> x\n",
        "One.\n\n" + "-" * 40 + "\nTwo.\nThree.",
    ),
    "all of it is quoted": ("> a\n> b\n> c", "> a\n> b\n> c"),
    "empty": ("", ""),
    "blank": (" \n\t\n", ""),
}


@pytest.mark.parametrize(("text", "expected"), TEXTS.values(), ids=TEXTS)
def test_what_the_author_wrote_is_left(text, expected):
    assert new_text(text) == expected


def test_languages_can_be_chosen():
    text = "Bene.\n\nDa: Ann\nInviato: 3 giugno\nA: Bob\n\nCome?\n"
    assert new_text(text) == "Bene."
    assert new_text(text, ["it"]) == "Bene."
    assert new_text(text, ["xx"]) == text.strip()


class TestLongTexts:
    def test_a_long_history_is_cut_near_its_top(self):
        history = "\n".join(f"line {number}" for number in range(5000))
        text = f"Fine.\n\nFrom: Ann\nSent: Monday\nTo: Bob\nSubject: x\n\n{history}"
        assert new_text(text) == "Fine."

    def test_a_long_answer_is_kept_to_its_end(self):
        answer = "\n".join(f"line {number}" for number in range(5000))
        assert new_text(answer) == answer
        assert new_text(f"{answer}\n\n> x") == answer

    def test_answers_below_a_long_quotation_are_kept(self):
        quoted = "\n".join(f"> {number}" for number in range(1000))
        text = f"On Monday, Ann <a@example.org> wrote:\n{quoted}\n\nYes.\n\n> more\n\nNo."
        assert new_text(text).endswith("Yes.\n\n> more\n\nNo.")

    def test_long_lines_come_back_whole(self):
        line = "word " * 1000
        assert new_text(f"{line}\n\nann@example.org wrote:\n> x") == line.strip()

    @pytest.mark.parametrize(
        "piece",
        [
            "\n",
            " \n",
            "On ",
            "On a\n",
            "From: a\n",
            "From: \n",
            "a: b\n",
            ">\n",
            "> > ",
            "_",
            "-\n",
            " ",
            "a@",
            "：\n",
        ],
        ids=repr,
    )
    def test_no_text_takes_long(self, piece):
        # The pattern libraries need minutes for some of these: their time grows with the cube of the length.
        started = time.process_time()
        new_text(piece * (100_000 // len(piece)))
        assert time.process_time() - started < 5


HTML = {
    "nothing quoted": ("<p>Hello <b>you</b></p>", "<p>Hello <b>you</b></p>"),
    "Gmail": (
        '<div dir="ltr">Kiitos.</div><br><div class="gmail_quote gmail_quote_container"><div dir="ltr" '
        'class="gmail_attr">ti 3. kesäk. klo 10.00 Matti (m@example.org) kirjoitti:<br></div><blockquote '
        'class="gmail_quote" style="margin:0">Hei</blockquote></div>',
        '<div dir="ltr">Kiitos.</div><br>',
    ),
    "Gmail, read by Outlook on the web": ('<p>A</p><div class="x_gmail_quote">B</div>', "<p>A</p>"),
    "Thunderbird": (
        '<html><head><title>t</title></head><body bgcolor="#fff"><p>Dík.</p><div class="moz-cite-prefix">Dne '
        '3. 6. Jan napsal(a):<br></div><blockquote type="cite" cite="mid:x">Ahoj</blockquote></body></html>',
        "<p>Dík.</p>",
    ),
    "Apple, introduction inside": (
        '<body>Hi<br><blockquote type="cite"><div>3.6., Ann &lt;a@example.org&gt; wrote:</div></blockquote>',
        "Hi<br>",
    ),
    "Apple, introduction before": (
        '<p>Hi</p><div>Le 3 juin, Anne &lt;a@example.org&gt; a écrit&nbsp;:</div><br class="Apple-'
        'interchange-newline"><blockquote type="CITE">x</blockquote>',
        '<p>Hi</p><br class="Apple-interchange-newline">',
    ),
    "introduction as bare text after a line break": (
        '<div>Hi<br>3.6. a@example.org:<br><blockquote type="cite">x</blockquote></div>',
        "<div>Hi<br><br></div>",
    ),
    "introduction as the first text": (
        '<p>Hi</p><div>a@example.org:<blockquote type="cite">x</blockquote></div>',
        "<p>Hi</p><div></div>",
    ),
    "a paragraph before that introduces nothing": (
        '<p>Ask a@example.org.</p><blockquote type="cite">x</blockquote>',
        "<p>Ask a@example.org.</p>",
    ),
    "a long paragraph is no introduction": (
        f'<p>{"word " * 90} a@example.org:</p><blockquote type="cite">x</blockquote>',
        f"<p>{'word ' * 90} a@example.org:</p>",
    ),
    "answers between": (
        '<p>A</p><blockquote type="cite">q</blockquote><p>B</p><blockquote type=cite>r</blockquote><p>C</p>',
        "<p>A</p><p>B</p><p>C</p>",
    ),
    "Outlook on the web": (
        '<div>Fine.</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg">From: Ann</div><p>Q</p>',
        "<div>Fine.</div>",
    ),
    "Outlook on the web, nested and named again": (
        '<div><div>Fine.<div id="x_divRplyFwdMsg">From: Ann</div>tail</div>more</div><p>Q</p>',
        "<div><div>Fine.</div></div>",
    ),
    "Outlook": (
        '<p>Fine.</p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt;padding:3.0pt 0cm 0cm 0cm">'
        "<p><b>Von:</b> Ann</p></div></div><p>Q</p>",
        "<p>Fine.</p><div></div>",
    ),
    "Yahoo": ('<p>A</p><div id="y" class="yahoo_quoted">Q</div>', "<p>A</p>"),
    "Proton": ('<p>A</p><div class="protonmail_quote">Q</div>', "<p>A</p>"),
    "unmarked, found by its words": (
        "<p>Fine.</p><p>On Monday, Ann &lt;a@example.org&gt; wrote:</p><blockquote>Q</blockquote>",
        "<p>Fine.</p>",
    ),
    "a picture is an answer": ('<img src="cid:x"><div class="gmail_quote">Q</div>', '<img src="cid:x">'),
    "all of it is quoted": (
        '<blockquote type="cite">Q</blockquote>',
        '<blockquote type="cite">Q</blockquote>',
    ),
    "empty": ("", ""),
    "only a comment": ("<!-- x -->", "<!-- x -->"),
    "no body": ("<frameset><frame></frameset>", "<frameset><frame></frameset>"),
    "comment before a quotation": (
        '<p>A</p><!-- a@example.org: --><blockquote type="cite">Q</blockquote>',
        "<p>A</p><!-- a@example.org: -->",
    ),
    "declares an encoding": ('<?xml version="1.0" encoding="latin-1"?><p>é</p>', None),
    "NUL": ('<p>A\0é</p><div class="gmail_quote">Q</div>', "<p>Aé</p>"),
}


@pytest.mark.parametrize(("html", "expected"), HTML.values(), ids=HTML)
def test_html_is_cut_where_mail_programs_mark_it(html, expected):
    assert extract_reply(None, html).html == (html if expected is None else expected)


def test_many_elements_are_cut_by_their_marks_alone():
    html = "<br>" * 3000 + "x<p>On Monday, Ann &lt;a@example.org&gt; wrote:</p><blockquote>Q</blockquote>"
    assert extract_reply(None, html).html == html
    assert extract_reply(None, html + '<div class="gmail_quote">Z</div>').html == html


def test_html_too_long_to_be_worth_it_stays():
    html = '<p>A</p><div class="gmail_quote">Q</div>' + " " * 1_000_000
    assert extract_reply(None, html).html == html


@pytest.mark.parametrize(
    "piece",
    ["<br>a: b", "<div>", "<blockquote type=cite>", "</div>", "<p class=gmail_quote>x@y:", "<", "&", "<b"],
)
def test_no_html_takes_long(piece):
    started = time.process_time()
    extract_reply(None, piece * (200_000 // len(piece)))
    assert time.process_time() - started < 5


def test_what_was_not_there_is_none():
    assert extract_reply(None) == ReplyText(None, None)
    assert extract_reply("a", "<p>a</p>") == ReplyText("a", "<p>a</p>")


@settings(max_examples=200, deadline=None)
@given(
    st.text(alphabet=st.sampled_from("a>@: \n\r-_\0\u2028é<")),
    st.text(alphabet="<>/abp r=\"'!-&#;:@\0\ud800\n"),
)
def test_nothing_raises(text, html):
    result = extract_reply(text, html)
    assert isinstance(result.text, str)
    assert isinstance(result.html, str)


class TestOwnAddresses:
    ADDRESS = "reply+daaaaaamaaaaab3ls2ff57ntqmwgusi@r.example.org"

    @pytest.fixture(autouse=True)
    def domain(self, settings):
        settings.ANYMAIL = {"POSTAL_REPLY_DOMAIN": "r.example.org"}

    def test_they_are_not_published(self):
        encoded = self.ADDRESS.replace("+", "%2B").replace("@", "%40")
        html = f'<p>Hi <a href="mailto:{self.ADDRESS}?to={encoded}">x</a></p>'
        result = extract_reply(f"Hi <{self.ADDRESS.upper()}>, hello", html)
        assert result.text == "Hi <>, hello"
        assert result.html == '<p>Hi <a href="mailto:?to=">x</a></p>'

    def test_they_are_not_published_in_a_mail_that_is_all_quotation(self):
        assert extract_reply(f"> {self.ADDRESS}").text == "> "

    def test_other_addresses_stay(self):
        text = "reply@r.example.org, reply+x@s.example.org, ann@example.org"
        assert extract_reply(text).text == text

    def test_each_server_has_its_own(self, settings):
        settings.ANYMAIL["POSTAL_SERVERS"] = {
            "eu": {"reply_domain": "r.eu.example", "reply_local_part": "re"}
        }
        text = f"x {self.ADDRESS} re+abc@r.eu.example"
        assert extract_reply(text).text == "x  re+abc@r.eu.example"
        assert extract_reply(text, server="eu").text == f"x {self.ADDRESS} "


def test_without_a_reply_domain_nothing_is_removed(settings):
    settings.ANYMAIL = {}
    assert extract_reply("a reply+x@r.example.org").text == "a reply+x@r.example.org"


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setattr(reply_text, "MISSING", ImportError("No module named 'quotequail'"))
    with pytest.raises(ImportError, match=r"anymail-postal\[replies\]"):
        extract_reply("a")


def test_the_module_can_be_imported_without_the_extra():
    code = (
        "import sys; sys.modules['quotequail'] = None\n"
        "from anymail_postal import reply_text\n"
        "assert reply_text.MISSING is not None"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
