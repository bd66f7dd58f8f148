from postal_server.mail.phrases import has_any, phrases, plain


def test_case_accents_and_blanks_do_not_matter():
    assert plain(" Réponse\n  AUTOMATIQUE ") == "reponse automatique"
    assert plain("l’absence") == "l'absence"
    assert plain("ÜBER ß") == "uber ss"


def test_a_list_has_one_spelling_of_each_phrase():
    assert phrases("\n  Échec / echec\n  and/or\n") == ("echec", "and/or")
    assert has_any("this and/or that", phrases("x / and/or"))
