from hypothesis import given
from hypothesis import strategies as st

from postal_server.mail.bounce_words import DELAYS, FAILURE_TEXTS
from postal_server.mail.phrases import Phrases, Text, has_any, phrases, plain


def test_case_accents_and_blanks_do_not_matter():
    assert plain(" Réponse\n  AUTOMATIQUE ") == "reponse automatique"
    assert plain("l’absence") == "l'absence"
    assert plain("ÜBER ß") == "uber ss"


def test_a_list_has_one_spelling_of_each_phrase():
    assert phrases("\n  Échec / echec\n  and/or\n") == ("echec", "and/or")
    assert has_any("this and/or that", phrases("x / and/or"))


LISTED = (*FAILURE_TEXTS, *DELAYS)
PREPARED = Phrases(LISTED)


@given(
    st.lists(st.sampled_from([*LISTED, *plain(" ".join(LISTED)).split(), " ", "un", "\n", "é"])), st.text()
)
def test_phrases_made_ready_are_found_as_one_by_one(pieces, between):
    text = Text(between.join(pieces))
    assert PREPARED.all_in(text) == {phrase for phrase in LISTED if phrase in text.plain}
    assert PREPARED.is_any_in(text, text.plain[:100]) == has_any(text.plain[:100], LISTED)
