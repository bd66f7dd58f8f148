"""The pages: the user's conversations, and one conversation with the state of each notification."""

from __future__ import annotations

from django import forms
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render

from .models import Conversation, Message, RejectedReply
from .notifications import notify


class MessageForm(forms.ModelForm):  # type: ignore[type-arg]  # Django has no such subscript
    class Meta:
        model = Message
        fields = ["text"]
        widgets = {"text": forms.Textarea(attrs={"rows": 3, "placeholder": "Write a message"})}
        labels = {"text": ""}


@login_required
def conversations(request: HttpRequest) -> HttpResponse:
    mine = Conversation.objects.filter(people=request.user.pk)
    rejected = RejectedReply.objects.order_by("-pk")[:20]
    return render(request, "discussion/conversations.html", {"conversations": mine, "rejected": rejected})


@login_required
def conversation(request: HttpRequest, pk: int) -> HttpResponse:
    current = get_object_or_404(Conversation, pk=pk, people=request.user.pk)
    form = MessageForm(request.POST or None)
    if form.is_valid():
        message = form.save(commit=False)
        message.conversation, message.author_id = current, request.user.pk
        message.save()
        notify(message)
        return redirect(current)
    messages = current.messages.order_by("pk").prefetch_related("author", "notifications__person")
    return render(
        request, "discussion/conversation.html", {"conversation": current, "messages": messages, "form": form}
    )
