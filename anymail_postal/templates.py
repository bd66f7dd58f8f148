"""Mail from Django's templates, with the merge data filled in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.template import Context, Engine, TemplateDoesNotExist
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import get_template

from .contents import Contents


def from_templates(contents: Contents, template_id: str, context: dict[str, Any]) -> Contents:
    """The contents by the templates `<template_id>.subject.txt`, `.txt` and `.html`, as far as they exist.

    Raises TemplateDoesNotExist if there is neither of the last two.
    """
    subject = rendered(f"{template_id}.subject.txt", context, autoescape=False)
    text = rendered(f"{template_id}.txt", context, autoescape=False)
    html = rendered(f"{template_id}.html", context, autoescape=True)
    if text is None and html is None:
        raise TemplateDoesNotExist(f"{template_id}.txt or {template_id}.html")
    return replace(
        contents,
        subject=contents.subject if subject is None else one_line(subject),
        text=contents.text if text is None else text,
        html=contents.html if html is None else html,
    )


def rendered(name: str, context: dict[str, Any], *, autoescape: bool) -> str | None:
    """The text of a template, None if there is none. Engines other than Django's escape as they are set."""
    try:
        template = get_template(name)
    except TemplateDoesNotExist:
        return None
    if isinstance(template, DjangoTemplate):
        return str(template.template.render(Context(context, autoescape=autoescape)))
    return str(template.render(context))


def from_itself(contents: Contents, context: dict[str, Any]) -> Contents:
    """The contents with subject and bodies taken as Django templates."""
    engine = Engine.get_default()

    def filled(source: str, autoescape: bool) -> str:
        return str(engine.from_string(source).render(Context(context, autoescape=autoescape)))

    return replace(
        contents,
        subject=one_line(filled(contents.subject, autoescape=False)),
        text=contents.text and filled(contents.text, autoescape=False),
        html=contents.html and filled(contents.html, autoescape=True),
    )


def one_line(text: str) -> str:
    """The text of a template as a subject."""
    return " ".join(text.split())
