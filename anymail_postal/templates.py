"""The contents of a mail from Django's templates and merge data."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from django.template import Context, Engine, TemplateDoesNotExist
from django.template.backends.django import Template as DjangoTemplate
from django.template.loader import get_template

from .contents import Contents


def from_templates(contents: Contents, template_id: str, context: dict[str, Any]) -> Contents:
    """The contents from the templates `<template_id>.subject.txt`, `.txt` and `.html`, as far as they exist.

    Raises TemplateDoesNotExist if there is neither a `.txt` nor an `.html`.
    """
    subject = render_template(f"{template_id}.subject.txt", context, autoescape=False)
    text = render_template(f"{template_id}.txt", context, autoescape=False)
    html = render_template(f"{template_id}.html", context, autoescape=True)
    if text is None and html is None:
        raise TemplateDoesNotExist(f"{template_id}.txt or {template_id}.html")
    return replace(
        contents,
        subject=contents.subject if subject is None else single_line(subject),
        text=contents.text if text is None else text,
        html=contents.html if html is None else html,
    )


def render_template(name: str, context: dict[str, Any], *, autoescape: bool) -> str | None:
    """The text of a template, None if there is none. `autoescape` is for Django's engine only."""
    try:
        template = get_template(name)
    except TemplateDoesNotExist:
        return None
    if isinstance(template, DjangoTemplate):
        return str(template.template.render(Context(context, autoescape=autoescape)))
    return str(template.render(context))


def from_inline_templates(contents: Contents, context: dict[str, Any]) -> Contents:
    """The contents with the subject and the bodies rendered as Django templates."""
    engine = Engine.get_default()

    def render(source: str, autoescape: bool) -> str:
        return str(engine.from_string(source).render(Context(context, autoescape=autoescape)))

    return replace(
        contents,
        subject=single_line(render(contents.subject, autoescape=False)),
        text=contents.text and render(contents.text, autoescape=False),
        html=contents.html and render(contents.html, autoescape=True),
    )


def single_line(text: str) -> str:
    """A text in one line, for a subject."""
    return " ".join(text.split())
