"""Types of events on the page: what each tells, its fields, and how to subscribe."""

from __future__ import annotations

import json
from typing import Any

from gateway.api import markup
from gateway.api.contracts import Contracts
from gateway.api.examples import example
from gateway.api.page_fields import fields_table, message_fields
from gateway.api.schemas import sensitivity_name
from gateway.api.topics import personal_scope, read_scope, sector_of
from mesh.annotations import event_options, is_personal
from mesh.events import event_subject


def event_section(event: Any, contracts: Contracts) -> str:
    """One type of event."""
    options = event_options(event)
    sensitivity = sensitivity_name(options.sensitivity)
    facts = f"{markup.chip(sensitivity, sensitivity.lower())} <code>{event.full_name}</code>"
    said = markup.paragraphs(contracts.comment(event.full_name))
    scopes = f"Needs the scopes `events.read` and `{read_scope(event)}`"
    if any(map(is_personal, event.fields)):
        scopes += f", and `{personal_scope(event)}` for what concerns a person"
    subject = event_subject("*", sector_of(event), options.topic, "*")
    places = markup.paragraphs(
        f"{scopes}. Topic `{options.topic}`, key `{options.key_field}`; in the locality on the subject `{subject}`."
    )
    fields = fields_table(message_fields(event), contracts)
    shown = json.dumps(example(event), ensure_ascii=False, indent=2)
    body = f"<p>{facts}</p>{said}{places}{fields}{markup.code_block(_subscribe(event))}{markup.code_block(shown)}"
    return markup.section(event.full_name, event.name, body)


def _subscribe(event: Any) -> str:
    return (
        'curl --no-buffer --cacert "$CA" --header "Authorization: Bearer $TOKEN" \\\n'
        f'  "$EDGE/events/v1/events:subscribe?types={event.full_name}"'
    )
