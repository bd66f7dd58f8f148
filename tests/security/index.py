"""Every security case of this field: where its defence stands in the code, and the tests that hold it.

`python -m tests.security.remove_guards` removes one guard after the other, and expects a test to notice.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import dedent

SERVER = "tests/postal_server"
LIBRARY = "tests/anymail_postal"
ATTACKS = "tests/security"  # on a running server


@dataclass(frozen=True)
class Guard:
    """The piece of code on which a case depends.

    `code` stands once in the file at `path`: a part of a line, or lines, however they are indented. `without`
    is what the file would say had nobody thought of the case.
    """

    path: str
    code: str
    without: str = ""

    def count(self, text: str) -> int:
        """How often its code stands in `text`, a file."""
        return len(self._pattern.findall(text))

    def removed_from(self, text: str) -> str:
        """`text`, a file, without the guard."""
        without = dedent(self.without).strip()
        return self._pattern.sub(
            lambda found: found["before"] + without.replace("\n", "\n" + found["indent"]), text
        )

    @property
    def _pattern(self) -> re.Pattern[str]:
        first, *others = map(re.escape, dedent(self.code).strip().split("\n"))
        before = r"^(?P<before>(?P<indent> *)(?:[^ \n].*?)?)"
        return re.compile(before + first + "".join(rf"\n(?P=indent){line}" for line in others), re.MULTILINE)


@dataclass(frozen=True)
class Case:
    """Something that is tried. Each of its guards is missed by one of its tests."""

    guards: Sequence[Guard]
    tests: Sequence[str]


CASES: dict[str, Case] = {
    "SMTP smuggling in (CVE-2024-27938)": Case(
        guards=[
            Guard(
                "postal_server/smtpd/data.py",
                code="end = buffer.find(END_OF_DATA, self._search_from)",
                without=r"""
                buffer[:] = buffer.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
                end = buffer.find(END_OF_DATA, self._search_from)
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_cve_2024_27938_a_message_smuggled_in_is_text",
            f"{SERVER}/smtpd/test_protocol.py::TestSmuggling::"
            "test_cve_2024_27938_only_crlf_dot_crlf_ends_a_message",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_smuggling_in_what_is_drained",
        ],
    ),
    "SMTP smuggling out (CVE-2023-51764)": Case(
        guards=[
            Guard(
                "postal_server/mail/transport_encoding.py",
                code="raw = to_crlf(raw)",
                without="pass",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_cve_2023_51764_no_message_is_smuggled_out",
            f"{SERVER}/transports/smtp/test_protocol.py::TestContent::"
            "test_cve_2023_51764_no_end_of_data_is_smuggled_out",
        ],
    ),
    "commands injected behind STARTTLS": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                self._follow(Event.HANDSHAKE_BEGUN)
                self._buffer.clear()
                """,
                without="self._follow(Event.HANDSHAKE_BEGUN)",
            ),
            Guard(
                "postal_server/smtpd/protocol.py",
                code="self.session.helo = self.session.principal = None",
                without="self.session.helo = None",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_commands_injected_behind_starttls_are_not_obeyed",
            f"{SERVER}/smtpd/test_tls.py::test_commands_injected_behind_starttls_are_thrown_away",
            f"{SERVER}/smtpd/test_tls.py::test_authentication_does_not_survive_starttls",
        ],
    ),
    "replies injected behind STARTTLS": Case(
        guards=[
            Guard(
                "postal_server/transports/smtp/session.py",
                code="if self._reader.has_partial_reply or not self.is_usable:",
                without="if not self.is_usable:",
            ),
        ],
        tests=[
            f"{SERVER}/transports/smtp/test_session.py::TestTls::"
            "test_text_injected_behind_the_answer_to_starttls_is_not_believed",
        ],
    ),
    "HTTP request smuggling": Case(
        guards=[
            Guard(
                "postal_server/web/protocol.py",
                code="""
                if exchange.has_head:  # a trailer: no proxy has checked it
                    exchange.head.size += field_size(name, value)
                elif not exchange.is_too_large:
                """,
                without="if not exchange.is_too_large:",
            ),
            Guard(
                "postal_server/web/gateway.py",
                code="""
                if self.is_chunked:
                    raise HostileInput("chunks before HTTP/1.1")
                """,
            ),
            Guard(
                "postal_server/web/gateway.py",
                code='if b"_" in name:',
                without="if not name:",
            ),
        ],
        tests=[
            f"{SERVER}/web/test_server.py::test_trailers_are_no_header",
            f"{SERVER}/web/test_server.py::test_what_is_no_request_is_a_400_and_the_end",
            f"{SERVER}/web/test_server.py::test_a_field_with_an_underscore_does_not_pass_for_another",
            f"{SERVER}/web/test_server.py::test_an_unread_body_is_no_next_request",
            f"{SERVER}/web/test_server.py::"
            "test_request_smuggling_an_unread_body_in_chunks_is_no_next_request",
            f"{SERVER}/web/test_server.py::test_request_smuggling_trailers_are_no_next_request",
        ],
    ),
    "HTML in delivery details": Case(
        guards=[
            Guard(
                "postal_server/admin/base.py",
                code="MESSAGE_REFERENCE.sub(link, escape(details))",
                without="MESSAGE_REFERENCE.sub(link, details)",
            ),
            Guard(
                "postal_server/wire/http.py",
                code="text = text.replace(char, escape)",
                without="pass",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_api.py::test_html_in_delivery_details_is_kept_as_text",
            f"{SERVER}/admin/test_pages.py::test_nothing_of_a_mail_is_markup_in_the_page",
        ],
    ),
    "XSS through a shown mail": Case(
        guards=[
            Guard(
                "postal_server/admin/mail_view.py",
                code='"Content-Security-Policy": HTML_POLICY,',
            ),
            Guard(
                "postal_server/admin/mail_view.py",
                code="clean(found.html_body),",
                without="found.html_body,",
            ),
        ],
        tests=[
            f"{SERVER}/admin/test_pages.py::test_html_is_a_page_that_can_do_nothing",
            f"{SERVER}/admin/test_pages.py::test_nothing_of_a_mail_is_markup_in_the_page",
            f"{SERVER}/mail/test_html.py::test_nothing_that_runs_or_connects_elsewhere_is_left",
            f"{SERVER}/mail/test_html.py::test_no_css_ends_its_block_or_fetches",
        ],
    ),
    "connections that a shown mail asks for (preconnect, dns-prefetch)": Case(
        guards=[
            Guard(
                "postal_server/mail/html.py",
                code="tags=nh3.ALLOWED_TAGS | _MORE_TAGS,",
                without='tags=nh3.ALLOWED_TAGS | _MORE_TAGS | {"link"},',
            ),
            Guard(
                "postal_server/admin/mail_view.py",
                code='"X-DNS-Prefetch-Control": "off",',
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_html.py::test_nothing_that_runs_or_connects_elsewhere_is_left",
            f"{SERVER}/admin/test_pages.py::test_html_is_a_page_that_can_do_nothing",
        ],
    ),
    "time that the structure of one mail takes": Case(
        guards=[
            Guard(
                "postal_server/mail/mime.py",
                code="if boundary and self.searches_left >= 0:",
                without="if boundary:",
            ),
            Guard(
                "postal_server/mail/mime.py",
                code="if depth < MAX_DEPTH:",
                without="if True:",
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_mime.py::test_time_to_read_a_hostile_mail_is_bounded",
            f"{SERVER}/mail/test_mime.py::test_nested_boundaries_cost_no_more_than_the_text_has_bytes",
            f"{SERVER}/mail/test_report.py::test_time_to_read_a_hostile_mail_is_bounded",
        ],
    ),
    "time that cleaning a shown mail takes": Case(
        guards=[
            Guard(
                "postal_server/mail/html.py",
                code="if _is_too_much(html):",
                without=r'if "\0" in html:',
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_html.py::test_time_to_clean_is_bounded",
            f"{SERVER}/mail/test_html.py::test_what_cannot_be_cleaned_in_time_is_shown_as_text",
        ],
    ),
    "text that a database does not take (NUL, halves of characters)": Case(
        guards=[
            Guard(
                "postal_server/models/fields.py",
                code="return storable(value) if isinstance(value, str) else value",
                without="return value",
            ),
            Guard(
                "postal_server/mail/charset.py",
                code='if codec == "utf-7":  # it can spell half a character',
                without='if codec == "":',
            ),
        ],
        tests=[
            f"{SERVER}/models/test_fields.py::test_the_database_takes_whatever_stands_there",
            f"{SERVER}/mail/test_charset.py::test_any_database_takes_the_text",
            f"{SERVER}/mail/test_message_view.py::test_nothing_shown_has_a_nul",
        ],
    ),
    "a flood of opens and clicks": Case(
        guards=[
            Guard(
                "postal_server/services/operations/tracking.py",
                code="if stored <= EVENTS_PER_HOUR:",
                without="if stored:",
            ),
        ],
        tests=[
            f"{SERVER}/services/operations/test_tracking.py::test_a_flood_is_counted_but_emits_no_more_events",
        ],
    ),
    "HTML that takes long to read": Case(
        guards=[
            Guard(
                "postal_server/mail/html_tags.py",
                code="""
                if self.steps_left < 0:
                    return
                """,
            ),
            Guard(
                "postal_server/mail/html_tags.py",
                code="while self.steps_left > 0 and (pair := _ATTRIBUTE.match(self.text, self.position)):",
                without="while pair := _ATTRIBUTE.match(self.text, self.position):",
            ),
            Guard(
                "postal_server/mail/links.py",
                code="""
                if len(links) == MAX_LINKS:
                    break
                """,
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_html_tags.py::test_no_document_is_read_without_end",
            f"{SERVER}/mail/test_links.py::test_no_part_has_links_without_end",
            f"{SERVER}/mail/test_tracking.py::test_a_flood_takes_no_time",
        ],
    ),
    "server-side request forgery by endpoint": Case(
        guards=[
            Guard(
                "postal_server/transports/http/pool.py",
                code="if not all(self._permits(url.host, address) for address in addresses):",
                without="if not addresses:",
            ),
            Guard(
                "postal_server/rules/request_destination.py",
                code="return not any(address in network for network in NOT_PUBLIC_V4)",
                without="return not address.is_private",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_ssrf.py::test_endpoint_inside_the_network_is_not_posted_to",
            f"{SERVER}/rules/test_request_destination.py::test_a_special_address_is_refused",
            f"{SERVER}/transports/http/test_pool.py::TestServerSideRequestForgery::"
            "test_this_machine_cannot_be_posted_to",
        ],
    ),
    "server-side request forgery by webhook": Case(
        guards=[
            Guard(
                "postal_server/transports/http/pool.py",
                code="if not all(self._permits(url.host, address) for address in addresses):",
                without="if not addresses:",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_ssrf.py::test_webhook_inside_the_network_is_not_posted_to",
        ],
    ),
    "SMTP to private addresses": Case(
        guards=[
            Guard(
                "postal_server/transports/smtp/connect.py",
                code="usable = tuple(address for address in usable if self._permits(host.name, address))",
                without="pass",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_ssrf.py::test_mail_to_an_address_inside_the_network_is_not_sent",
            f"{SERVER}/transports/smtp/test_connect.py::TestInside::test_mx_host_inside_is_passed_over",
            f"{SERVER}/transports/smtp/test_connect.py::TestInside::test_literal_inside_is_not_connected_to",
            f"{SERVER}/transports/smtp/test_connect.py::TestInside::test_no_other_way_leads_inside",
            f"{SERVER}/rules/test_request_destination.py::test_a_special_address_is_refused",
        ],
    ),
    "server-side request forgery by redirect": Case(
        guards=[
            Guard(
                "postal_server/transports/http/pool.py",
                code="""
                connection = await self._connect(url)
                response = await connection.exchange(head, body)
                self._keep(origin, connection)
                return response
                """,
                without="""
                connection = await self._connect(url)
                response = await connection.exchange(head, body)
                if location := response.headers.get("location"):
                    there = Url.parse(location)
                    head = head.replace(url.target.encode(), there.target.encode(), 1)
                    return await self._exchange(origin, there, head, body)
                self._keep(origin, connection)
                return response
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_ssrf.py::test_redirect_into_the_network_is_not_followed",
            f"{SERVER}/transports/http/test_pool.py::TestPost::"
            "test_every_status_is_a_result_and_redirects_are_not_followed",
        ],
    ),
    "server-side request forgery by DNS rebinding": Case(
        guards=[
            Guard(
                "postal_server/transports/http/pool.py",
                code="loop.create_connection(HttpConnection, address, url.port, **tls)",
                without="loop.create_connection(HttpConnection, url.host, url.port, **tls)",
            ),
            Guard(
                "postal_server/transports/http/pool.py",
                code="if not all(self._permits(url.host, address) for address in addresses):",
                without="if not any(self._permits(url.host, address) for address in addresses):",
            ),
        ],
        tests=[
            f"{SERVER}/transports/http/test_pool.py::TestServerSideRequestForgery::"
            "test_dns_rebinding_a_name_is_looked_up_once_and_connected_to_where_it_was_checked",
            f"{SERVER}/transports/http/test_pool.py::TestServerSideRequestForgery::"
            "test_a_name_with_a_private_address_is_refused",
        ],
    ),
    "header injection through an address": Case(
        guards=[
            Guard(
                "postal_server/smtpd/commands.py",
                code="""
                if FORBIDDEN.search(text):
                    raise HostileInput("control character in a command")
                """,
            ),
            Guard(
                "postal_server/services/shared/recipient.py",
                code="if _CONTROL.search(address) or len(",
                without="if len(",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_header_injection_through_an_smtp_argument_is_refused",
            f"{ATTACKS}/test_api.py::test_command_injection_through_a_recipient_is_refused",
            f"{SERVER}/api/test_views.py::test_recipient_that_no_command_can_hold_is_refused",
        ],
    ),
    "header injection through the subject and other parameters": Case(
        guards=[
            Guard(
                "postal_server/mail/encoded_word.py",
                code=r'if "\r" in value or "\n" in value:',
                without="if not value:",
            ),
            Guard(
                "postal_server/wire/api.py",
                code="if not _HEADER_NAME.match(name):",
                without="if not name:",
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_encoded_word.py::test_line_ends_are_neutralized",
            f"{SERVER}/mail/test_compose.py::test_custom_values_are_written_anew",
            f"{ATTACKS}/test_api.py::test_header_injection_through_a_parameter_adds_no_header",
            f"{ATTACKS}/test_api.py::test_header_injection_through_a_header_name_is_refused",
            f"{SERVER}/api/test_views.py::test_subject_cannot_add_a_header",
        ],
    ),
    "header injection through a name of a client": Case(
        guards=[
            Guard(
                "postal_server/mail/message.py",
                code='return _NOT_PRINTABLE.sub("?", text[:MAX_RECEIVED_PART])',
                without="return text[:MAX_RECEIVED_PART]",
            ),
            Guard(
                "postal_server/transports/http/request.py",
                code=r"""
                if any(c in name + value for name, value in fields for c in "\r\n\0"):
                    raise ValueError("A header has a line end in it")
                """,
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_message.py::test_received_lines_are_postals",
            f"{ATTACKS}/test_smtp.py::"
            "test_header_injection_through_folded_names_of_a_client_stays_in_its_line",
            f"{SERVER}/transports/http/test_request.py::test_a_header_cannot_break_out_of_its_line",
        ],
    ),
    "a From of others by what programs parse differently": Case(
        guards=[
            Guard(
                "postal_server/mail/address_list.py",
                code="addresses += _SPELT_OUT.findall(decode_header(text))",
                without="pass",
            ),
            Guard(
                "postal_server/services/acceptance/submission.py",
                code="if not all(domains) or not domains:",
                without="if not any(domains):",
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_address_list.py::"
            "test_an_author_that_readers_take_for_different_ones_is_refused",
            f"{SERVER}/services/acceptance/test_submission.py::test_domains_of_others_are_no_senders",
            f"{SERVER}/services/acceptance/test_submission.py::"
            "test_domains_of_others_are_no_senders_over_send_message",
            f"{SERVER}/services/acceptance/test_submission.py::"
            "test_a_sender_counts_where_the_server_allows_it_and_only_if_it_is_unmistakable",
        ],
    ),
    "a From of others behind more fields than are read": Case(
        guards=[
            Guard(
                "postal_server/services/acceptance/submission.py",
                code="""
                if len(fields) >= MAX_FIELDS:
                    raise HeaderTooLarge
                """,
            ),
        ],
        tests=[
            f"{SERVER}/services/acceptance/test_submission.py::"
            "test_a_header_that_would_be_sent_otherwise_than_it_is_read_is_refused",
            f"{SERVER}/services/acceptance/test_submission.py::test_domains_of_others_are_no_senders",
            f"{SERVER}/services/acceptance/test_submission.py::"
            "test_what_is_too_large_a_header_over_smtp_is_so_over_send_raw",
        ],
    ),
    "a From of others by a carriage return that is repaired": Case(
        guards=[
            Guard(
                "postal_server/services/acceptance/submission.py",
                code=r"""
                if header.count(b"\r") != header.count(b"\r\n"):
                    raise MalformedHeader
                """,
            ),
        ],
        tests=[
            f"{SERVER}/services/acceptance/test_submission.py::"
            "test_a_header_that_would_be_sent_otherwise_than_it_is_read_is_refused",
        ],
    ),
    "mail delivered to another address than was named": Case(
        guards=[
            Guard(
                "postal_server/mail/address.py",
                code="return _quoted_if_needed(unquoted(local))",
                without="return unquoted(local)",
            ),
            Guard(
                "postal_server/mail/address.py",
                code="""
                local, at, domain = address.rpartition("@")
                return (local, domain) if at else (domain, "")
                """,
                without="""
                local, at, domain = address.partition("@")
                return local, domain
                """,
            ),
        ],
        tests=[
            f"{SERVER}/mail/test_address.py::test_an_envelope_address_is_stable_and_means_the_same_mailbox",
            f"{SERVER}/mail/test_address_list.py::test_a_text_with_somebody_unclear_in_it_is_refused",
            f"{SERVER}/services/acceptance/test_submission.py::test_a_quoted_local_part_goes_to_its_own_domain",
        ],
    ),
    "time of one API call": Case(
        guards=[
            Guard(
                "postal_server/wire/api.py",
                code="if size > limit:",
                without="if size < 0:",
            ),
            Guard(
                "postal_server/wire/api.py",
                code="""
                if len(parts) > most:
                    raise HostileInput(f"a form of more than {MAX_FORM_FIELDS} fields")
                """,
            ),
        ],
        tests=[
            f"{SERVER}/wire/test_api.py::test_a_form_has_so_many_fields",
            f"{SERVER}/wire/test_api.py::test_too_much_text_for_a_header_is_refused_by_its_parameter",
            f"{SERVER}/wire/test_api.py::test_the_longest_texts_are_composed_in_50_milliseconds",
            f"{SERVER}/wire/test_api.py::test_a_form_of_many_levels_is_read_in_linear_time",
            f"{SERVER}/mail/test_transport_encoding.py::"
            "test_a_line_of_many_megabytes_is_folded_in_linear_time",
        ],
    ),
    "unbounded DATA": Case(
        guards=[
            Guard(
                "postal_server/smtpd/data.py",
                code="""
                if len(buffer) > self._options.max_message_bytes + len(END_OF_DATA):
                    raise MessageTooLarge
                """,
            ),
            Guard(
                "postal_server/smtpd/data.py",
                code="size_bytes > self._options.max_message_bytes:",
                without="False:",
            ),
            Guard(
                "postal_server/smtpd/protocol.py",
                code="self.deadline = min(self._loop.time() + patience, self.deadline + earned)",
                without="self.deadline = self._loop.time() + patience",
            ),
        ],
        tests=[
            f"{SERVER}/smtpd/test_protocol.py::TestChunking::test_chunks_above_the_limit_are_refused_and_not_kept",
            f"{ATTACKS}/test_smtp.py::test_unbounded_data_is_drained_and_refused",
            f"{ATTACKS}/test_smtp.py::test_unbounded_chunk_is_refused",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::"
            "test_unbounded_data_is_drained_before_it_is_refused",
            f"{SERVER}/smtpd/test_protocol.py::TestTime::"
            "test_a_slow_sender_is_cut_off_although_it_never_pauses",
        ],
    ),
    "unbounded command line": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                self._buffer.clear()
                if is_http(start):
                """,
                without="if is_http(start):",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_unbounded_command_line_is_not_kept",
            f"{ATTACKS}/test_smtp.py::test_unbounded_authentication_is_not_kept",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_unbounded_command_line",
        ],
    ),
    "unbounded commands and recipients": Case(
        guards=[
            Guard(
                "postal_server/smtpd/transaction.py",
                code="""
                if len(self.envelope.recipients) >= self._options.max_recipients:
                    return Answer(replies.TOO_MANY_RECIPIENTS)
                """,
            ),
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                if self._commands > self._options.max_commands:
                    self._close(replies.TOO_MANY_COMMANDS)
                elif state is LONG_LINE
                """,
                without="if state is LONG_LINE",
            ),
            Guard(
                "postal_server/smtpd/connection.py",
                code="""
                if self._errors > self._options.max_errors:
                    self._close(replies.TOO_MANY_ERRORS)
                """,
            ),
            Guard(
                "postal_server/smtpd/clients.py",
                code="""
                if self._connections[key] >= self.max_per_client:
                    return False
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_smtp.py::test_unbounded_recipients_are_refused",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_commands_without_a_message",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_errors_without_a_message",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_connections_of_a_client",
        ],
    ),
    "unbounded JSON body": Case(
        guards=[
            Guard(
                "postal_server/wire/http.py",
                code="""
                if length is not None and length > limit:
                    raise BodyTooLarge
                """,
            ),
            Guard(
                "postal_server/wire/http.py",
                code="""
                if len(body) > limit:
                    raise BodyTooLarge
                """,
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="or bool(self._waiting or self._unread) or self._has_enough_body())",
                without="or bool(self._waiting or self._unread))",
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="""
                if reading is not None and (reading.is_too_large or self._head_bytes > MAX_HEADER_BYTES):
                    self._refuse_input(431)
                """,
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="""
                elif exchange.received_bytes > MAX_DISCARDED_BYTES:
                    self.abort()
                """,
            ),
        ],
        tests=[
            f"{SERVER}/wire/test_http.py::test_body_is_read_up_to_a_limit",
            f"{ATTACKS}/test_api.py::test_unbounded_body_that_is_announced_is_not_read",
            f"{ATTACKS}/test_api.py::test_unbounded_body_in_chunks_ends",
            f"{ATTACKS}/test_api.py::test_endless_header_is_cut_off",
            f"{SERVER}/web/test_server.py::test_a_body_that_will_not_end_is_not_waited_for",
            f"{SERVER}/web/test_server.py::test_a_body_that_is_not_read_is_held_back",
            f"{SERVER}/web/test_server.py::test_an_unread_body_in_chunks_ends",
            f"{SERVER}/web/test_server.py::test_too_much_header_is_a_431",
            f"{SERVER}/web/test_server.py::test_a_request_that_comes_a_byte_at_a_time_is_a_408",
        ],
    ),
    "compression bombs": Case(
        guards=[
            Guard(
                "postal_server/transports/http/response.py",
                code="zlib.decompressobj(47).decompress(bytes(self.body), EXCERPT_BYTES)",
                without="zlib.decompressobj(47).decompress(bytes(self.body))",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_ssrf.py::test_compression_bomb_of_an_endpoint_is_not_unpacked",
            f"{SERVER}/transports/http/test_response.py::test_a_compression_bomb_yields_no_more_than_is_kept",
        ],
    ),
    "nesting bombs": Case(
        guards=[
            Guard(
                "postal_server/wire/api.py",
                code="""
                except (ValueError, RecursionError) as error:
                    raise HostileInput("not a JSON text") from error
                """,
                without="""
                except ValueError as error:
                    raise HostileInput("not a JSON text") from error
                """,
            ),
            Guard(
                "postal_server/mail/mime.py",
                code="if depth < MAX_DEPTH:",
                without="if True:",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_api.py::test_json_bomb_has_a_clear_answer",
            f"{ATTACKS}/test_smtp.py::test_mime_bomb_is_delivered_within_bounds",
            f"{SERVER}/mail/test_mime.py::test_time_to_read_a_hostile_mail_is_bounded",
            f"{SERVER}/mail/test_mime.py::test_depth_is_bounded",
        ],
    ),
    "path traversal in attachment names": Case(
        guards=[
            Guard(
                "postal_server/admin/base.py",
                code='NOT_IN_FILE_NAME.sub("_", name)',
                without="name",
            ),
        ],
        tests=[
            f"{SERVER}/admin/test_pages.py::test_file_is_a_download_with_a_harmless_name",
            f"{SERVER}/admin/test_pages.py::test_file_names_are_safe",
        ],
    ),
    "SQL through ids": Case(
        guards=[
            Guard(
                "postal_server/wire/api.py",
                code="""
                if not isinstance(number, int) or isinstance(number, bool):
                    raise ParameterError("`id` parameter must be an integer")
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_api.py::test_sql_through_an_id_finds_nothing",
            f"{SERVER}/api/test_views.py::test_id_is_a_number_and_nothing_else",
        ],
    ),
    "SQL through condition keys (GHSA-x2hq-rfpg-3xr5)": Case(
        guards=[
            Guard(
                "postal_server/wire/api.py",
                code="tuple(name for name in EXPANSIONS if name in names)",
                without="tuple(names)",
            ),
            Guard(
                "postal_server/admin/base.py",
                code="return queryset.filter(**{field: self.value()}) if self.value() in known else queryset",
                without="""
                return queryset.extra(where=[f"{field} = '{self.value()}'"]) if self.value() else queryset
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_api.py::test_sql_through_expansions_expands_nothing",
            f"{ATTACKS}/test_api.py::test_sql_through_another_parameter_finds_nothing_else",
            f"{SERVER}/admin/test_filters.py::test_filter_is_never_sql",
            f"{SERVER}/admin/test_filters.py::test_condition_that_is_always_true_shows_nothing",
        ],
    ),
    "credential echo": Case(
        guards=[
            Guard(
                "postal_server/wire/http.py",
                code="text = text.replace(char, escape)",
                without="pass",
            ),
            Guard(
                "anymail_postal/errors.py",
                code="text = text.replace(secret, REDACTED)",
                without="pass",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_api.py::test_credential_echo_is_for_the_wire_only",
            f"{ATTACKS}/test_api.py::test_credential_echo_is_no_markup",
            f"{ATTACKS}/test_smtp.py::test_wrong_keys_are_not_logged",
            f"{LIBRARY}/test_errors.py::test_the_key_is_redacted",
        ],
    ),
    "mail and keys that every user of the machine can read": Case(
        guards=[
            Guard(
                "postal_server/files.py",
                code="FOLDER_MODE, FILE_MODE = 0o700, 0o600",
                without="FOLDER_MODE, FILE_MODE = 0o755, 0o644",
            ),
            Guard(
                "postal_server/files.py",
                code="path.chmod(stat.S_IMODE(path.stat().st_mode) & ~rights)",
                without="pass",
            ),
        ],
        tests=[
            f"{SERVER}/test_files.py::test_file_modes_a_new_folder_and_its_files_are_the_owners_alone",
            f"{SERVER}/test_files.py::test_file_modes_each_file_that_others_can_open_is_named_with_the_cure",
            f"{SERVER}/test_files.py::test_file_modes_others_are_kept_out_of_an_installation_that_exists",
            f"{SERVER}/test_cli.py::test_file_modes_of_a_new_installation_are_the_owners_alone",
            f"{SERVER}/test_cli.py::test_file_modes_start_up_warns_of_what_others_can_open",
        ],
    ),
    "forged return paths": Case(
        guards=[
            Guard(
                "postal_server/services/shared/token.py",
                code="if server is None or (tag is not None and message_id is None):",
                without="if server is None:",
            ),
            Guard(
                "postal_server/services/shared/token.py",
                code="""
                if own != domain_key(config.dns.return_path_domain) and not directory.has_domain(
                    server, own.removeprefix(_own_prefix(config))
                ):
                    return ReturnPath(None, None)
                """,
            ),
        ],
        tests=[
            f"{SERVER}/services/shared/test_token.py::test_what_was_never_sent_names_neither",
            f"{SERVER}/services/shared/test_token.py::"
            "test_domains_own_return_paths_are_those_of_the_server_and_its_organization",
            f"{SERVER}/services/acceptance/test_reception.py::test_what_is_refused",
        ],
    ),
    "forged bounces": Case(
        guards=[
            Guard(
                "postal_server/services/preparation/evidence.py",
                code="for key, original in of_mail if key in recipients",
                without="for key, original in of_mail",
            ),
            Guard(
                "postal_server/services/preparation/evidence.py",
                code="""
                if row.server_id != server_id:
                    return OF_ANOTHER_SERVER
                """,
            ),
            Guard(
                "postal_server/services/preparation/read_report.py",
                code="is_strong=found_by not in (FoundBy.MESSAGE_ID, FoundBy.NOTHING),",
                without="is_strong=True,",
            ),
            Guard(
                "postal_server/services/preparation/delivery_status.py",
                code="is_strong=reported.is_strong and not read.job.message.mail_from",
                without="is_strong=reported.is_strong",
            ),
            Guard(
                "postal_server/services/preparation/delivery_status.py",
                code="own = [part for part, keys in named if key in keys]",
                without="own = [part for part, keys in named]",
            ),
            Guard(
                "postal_server/services/results/report.py",
                code="return self.counts[original_id, is_failure, reported.is_strong] >= MOST_KEPT",
                without="return sum(self.counts[original_id, is_failure, x] for x in (0, 1)) >= MOST_KEPT",
            ),
        ],
        tests=[
            f"{SERVER}/services/preparation/test_evidence.py::test_a_message_id_finds_those_recipients_that_are_reported",
            f"{SERVER}/services/preparation/test_evidence.py::test_reasons_why_a_named_message_does_not_count",
            f"{SERVER}/services/preparation/test_report.py::test_a_message_id_is_weak_evidence",
            f"{SERVER}/services/preparation/test_report.py::test_a_bounce_from_somebody_is_weak_and_feedback_is_not",
            f"{SERVER}/services/preparation/test_report.py::test_each_recipient_is_judged_by_its_own_group",
            f"{SERVER}/services/test_forgery.py::test_no_sequence_of_mails_suppresses_another_recipient",
            f"{SERVER}/services/results/test_report.py::"
            "test_forged_reports_by_weak_evidence_keep_no_real_one_from_being_heard",
        ],
    ),
    "backscatter": Case(
        guards=[
            Guard(
                "postal_server/services/results/failure_notice.py",
                code='return not message.is_bounce and is_plausible_recipient(message.mail_from or "")',
                without='return is_plausible_recipient(message.mail_from or "")',
            ),
            Guard(
                "postal_server/services/results/failure_notice.py",
                code="if not rules.is_automatic(_fields(header))",
            ),
            Guard(
                "postal_server/services/results/notice_limit.py",
                code="""
                is_admitted = all(used[name] < limit for name, limit in zip(places, most, strict=True))
                """,
                without="is_admitted = True",
            ),
            Guard(
                "postal_server/services/results/failure_notice.py",
                code="""
                if not isinstance(entry.result, Result):
                    return entry.details
                code = entry.result.outcome.code
                """,
                without="""
                return entry.details
                code = entry.result.outcome.code
                """,
            ),
        ],
        tests=[
            f"{SERVER}/services/results/test_failure_notice.py::test_it_is_a_report_that_programs_and_people_understand",
            f"{SERVER}/services/results/test_failure_notice.py::test_who_is_notified",
            f"{SERVER}/services/results/test_failure_notice.py::test_program_is_not_notified",
            f"{SERVER}/services/results/test_failure_notice.py::TestLimits::test_address_is_written_to_so_often_in_an_hour",
            f"{SERVER}/services/results/test_failure_notice.py::TestApply::"
            "test_a_stranger_hears_neither_the_url_nor_the_host_inside",
        ],
    ),
    "guessing of passwords and keys": Case(
        guards=[
            Guard(
                "postal_server/services/shared/throttle.py",
                code="""
                if failures and len(failures) >= limit and not is_spared:
                    longest = max(longest, failures[0] + window - now)
                """,
            ),
            Guard(
                "postal_server/services/shared/throttle.py",
                code="""
                if len(memory) >= MAX_REMEMBERED:
                    memory.pop(next(iter(memory)))
                """,
            ),
            Guard(
                "postal_server/smtpd/auth.py",
                code='self._shared.throttle.failed("", self._session.client_address, now)',
            ),
        ],
        tests=[
            f"{ATTACKS}/test_login.py::test_guesses_are_answered_429_and_logged",
            f"{ATTACKS}/test_login.py::test_wrong_logins_at_once_do_not_slow_the_api",
            f"{SERVER}/web/test_login.py::test_nothing_tells_an_account_from_none",
            f"{SERVER}/services/shared/test_throttle.py::test_stranger_cannot_keep_a_person_out",
            f"{SERVER}/services/shared/test_throttle.py::test_memory_is_bounded",
            f"{SERVER}/smtpd/test_auth.py::test_wrong_key_counts_although_the_right_one_follows",
        ],
    ),
    "large headers in the event loop": Case(
        guards=[
            Guard(
                "postal_server/smtpd/data.py",
                code="""
                if is_header_too_large(content, options.max_header_bytes, options.max_header_fields):
                    raise HeaderTooLarge
                """,
            ),
            Guard(
                "postal_server/smtpd/data.py",
                code="""
                if len(buffer) > self._options.max_header_bytes + MAX_EMPTY_LINE_BYTES:
                    self._check_header(buffer)
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_load.py::test_a_large_header_of_a_stranger_does_not_delay_others",
            f"{ATTACKS}/test_load.py::test_the_largest_headers_that_are_accepted_do_not_delay_others",
            f"{SERVER}/smtpd/test_protocol.py::TestHeader::test_a_header_may_be_so_large",
            f"{SERVER}/smtpd/test_protocol.py::TestHeader::test_a_header_that_is_too_large_is_not_kept",
            f"{SERVER}/mail/test_header.py::test_a_header_has_so_many_bytes_and_fields",
            f"{SERVER}/mail/test_header.py::test_folds_without_end_are_unfolded_in_a_moment",
            f"{SERVER}/services/acceptance/test_reception.py::test_a_subject_without_end_is_kept_as_it_came",
        ],
    ),
    "floods of commands and calls": Case(
        guards=[
            Guard(
                "postal_server/smtpd/connection.py",
                code="if self._buffer and self._loop.time() > end:",
                without="if False:",
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="self._shared.turns.add(partial(self._start_task, exchange, work))",
                without="self._start_task(exchange, work)",
            ),
        ],
        tests=[
            f"{SERVER}/net/test_listening.py::test_between_two_turns_all_others_are_served",
            f"{SERVER}/smtpd/test_protocol.py::TestTurns::"
            "test_a_client_with_one_command_does_not_wait_for_those_with_thousands",
            f"{SERVER}/web/test_server.py::test_large_calls_at_once_let_a_small_one_through",
            f"{ATTACKS}/test_floods.py::test_a_flood_of_commands_does_not_delay_others",
            f"{ATTACKS}/test_floods.py::test_a_flood_of_calls_does_not_delay_others",
        ],
    ),
    "headers that are costly to send on": Case(
        guards=[
            Guard("postal_server/mail/header_encoding.py", code="self.characters_left -= len(text)"),
        ],
        tests=[
            f"{SERVER}/mail/test_header_encoding.py::test_the_largest_header_is_encoded_in_a_moment",
            f"{SERVER}/mail/test_header_encoding.py::test_headers_of_all_parts_have_one_measure",
        ],
    ),
    "costly messages and requests": Case(
        guards=[
            Guard(
                "postal_server/services/acceptance/submission.py",
                code="""
                if is_header_too_large(raw, config.max_header_bytes, config.smtp_server.max_header_fields):
                    raise HeaderTooLarge
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_load.py::test_a_costly_request_does_not_delay_others",
            f"{ATTACKS}/test_load.py::test_a_mail_that_is_costly_to_read_does_not_delay_others",
        ],
    ),
    "time that the event loop takes for a line, a header, a body": Case(
        guards=[
            Guard(
                "postal_server/smtpd/options.py",
                code="MAX_LINE_BYTES = 2048",
                without="MAX_LINE_BYTES = 65_536",
            ),
            Guard(
                "postal_server/web/exchange.py",
                code="MAX_HEADER_BYTES = 64 * 1024",
                without="MAX_HEADER_BYTES = 8 * 1024 * 1024",
            ),
            Guard(
                "postal_server/web/body.py",
                code="MAX_BUFFERED_BYTES = 64 * 1024",
                without="MAX_BUFFERED_BYTES = 4 * 1024 * 1024",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_edges.py::test_command_line_is_read_in_a_moment",
            f"{ATTACKS}/test_edges.py::test_header_of_http_is_read_in_a_moment",
            f"{ATTACKS}/test_edges.py::test_body_is_read_in_a_moment",
            f"{ATTACKS}/test_edges.py::test_call_of_the_api_is_read_in_a_moment",
        ],
    ),
    "memory of many SMTP clients": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="if not self._shared.room.hold(self, size):",
                without="if False:",
            ),
            Guard(
                "postal_server/net/memory_budget.py",
                code="or (of_strangers and of_strangers + size_bytes > self._max_bytes_of_strangers)",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_load.py::"
            "test_unfinished_mail_of_strangers_takes_so_much_memory_and_does_not_delay_others",
            f"{SERVER}/smtpd/test_protocol.py::TestMemory::"
            "test_unfinished_messages_of_strangers_have_a_bound_in_all",
            f"{SERVER}/smtpd/test_protocol.py::TestMemory::test_unfinished_messages_of_all_have_a_bound",
            f"{SERVER}/smtpd/test_protocol.py::TestMemory::test_the_largest_gives_way_to_an_ordinary_message",
            f"{SERVER}/smtpd/test_protocol.py::TestMemory::test_recipients_take_room_as_well",
            f"{SERVER}/net/test_memory_budget.py::test_no_authenticated_client_gives_way_to_another",
        ],
    ),
    "slow senders that were quick at first": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="self.deadline = min(self._loop.time() + patience, self.deadline + earned)",
                without="self.deadline += earned",
            ),
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                if self._transaction.phase is not CHUNKS:  # there only chunks, which occupy memory, earn time
                    self._wait_for_command()
                """,
                without="self._wait_for_command()",
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="self.deadline = min(self._loop.time() + IDLE_SECONDS, earned)",
                without="self.deadline = earned",
            ),
        ],
        tests=[
            f"{SERVER}/smtpd/test_protocol.py::TestTime::"
            "test_what_came_quickly_buys_no_time_for_what_comes_slowly",
            f"{SERVER}/smtpd/test_protocol.py::TestTime::test_commands_between_chunks_buy_no_time",
            f"{SERVER}/web/test_server.py::test_what_came_quickly_buys_no_time_for_what_comes_slowly",
        ],
    ),
    "slow HTTP (Slowloris)": Case(
        guards=[
            Guard(
                "postal_server/web/protocol.py",
                code="and not self._shared.room.hold(self, size):",
                without="and size < 0:",
            ),
            Guard(
                "postal_server/web/shared.py",
                code="if self.clients[client] >= self.max_per_client and not self.is_proxy(address):",
                without="if False:",
            ),
            Guard(
                "postal_server/web/shared.py",
                code="if len(self.connections) >= self.max_connections and not self._make_room():",
                without="if len(self.connections) >= self.max_connections:",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_load.py::test_slow_posts_of_strangers_do_not_delay_others",
            f"{ATTACKS}/test_load.py::test_unfinished_requests_of_one_address_do_not_delay_others",
            f"{SERVER}/web/test_server.py::test_slow_bodies_that_are_wanted_hold_no_thread",
            f"{SERVER}/web/test_server.py::test_bodies_that_are_gathered_have_a_bound_in_all",
            f"{SERVER}/web/test_server.py::"
            "test_unfinished_requests_give_way_where_there_is_no_room_for_others",
            f"{SERVER}/web/test_server.py::test_a_client_has_so_many_connections_and_a_proxy_any_number",
            f"{SERVER}/web/test_application.py::test_a_body_is_gathered_for_who_may_send_it",
            f"{SERVER}/web/test_application.py::test_a_page_reads_no_body_of_more_than_a_form_has",
        ],
    ),
    "unbounded chunk extensions (CVE-2023-39326)": Case(
        guards=[
            Guard(
                "postal_server/web/protocol.py",
                code="self._head_bytes = max(self._head_bytes - 2 * len(data) - CHUNK_OVERHEAD_BYTES, 0)",
                without="self._head_bytes = 0",
            ),
            Guard(
                "postal_server/transports/http/response.py",
                code="if not self.is_done and self._overhead > MAX_HEAD_BYTES:",
                without="if not self.is_done and not self._has_head and self._overhead > MAX_HEAD_BYTES:",
            ),
        ],
        tests=[
            f"{SERVER}/web/test_server.py::test_what_stands_around_chunks_has_an_end",
            f"{SERVER}/web/test_server.py::test_what_stands_around_small_chunks_has_an_end",
            f"{SERVER}/transports/http/test_response.py::test_what_has_no_end_is_given_up",
        ],
    ),
    "idle SMTP connections that take all places": Case(
        guards=[
            Guard(
                "postal_server/smtpd/clients.py",
                code="if self._total >= self.max_connections and not evict():",
                without="if self._total >= self.max_connections:",
            ),
        ],
        tests=[
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::"
            "test_the_stranger_that_is_idle_for_longest_gives_way_to_a_new_connection",
            f"{SERVER}/smtpd/test_protocol.py::TestLimits::test_who_does_not_read_gives_way_as_well",
            f"{SERVER}/smtpd/test_clients.py::"
            "test_where_all_places_are_taken_one_may_be_made_free_but_not_for_who_has_too_many",
        ],
    ),
    "large answers that are not read": Case(
        guards=[
            Guard(
                "postal_server/web/protocol.py",
                code="self._shared.unsent.add(self, self._loop.time())",
            ),
            Guard(
                "postal_server/api/views.py",
                code="""
                if found.row.size_bytes > LARGE_MESSAGE_BYTES:
                    return self.large_message_thread.submit(show, found).result()
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_load.py::"
            "test_large_answers_that_are_not_read_take_so_much_memory_and_do_not_delay_others",
            f"{SERVER}/web/test_server.py::test_answers_that_are_not_read_have_a_bound_in_all",
            f"{SERVER}/web/test_unsent.py::test_who_reads_slowest_makes_room_for_another_answer",
        ],
    ),
    "streams that take all connections, or are not read": Case(
        guards=[
            Guard(
                "postal_server/web/protocol.py",
                code="elif self._shared.streams >= self._shared.max_streams:",
                without="elif False:",
            ),
            Guard(
                "postal_server/web/protocol.py",
                code="""
                while self._is_full:
                    self._resumed = self._loop.create_future()
                    await self._resumed
                """,
            ),
        ],
        tests=[
            f"{SERVER}/web/test_streaming.py::test_streams_leave_half_of_the_connections_to_other_requests",
            f"{SERVER}/web/test_streaming.py::test_a_stream_waits_for_its_client",
            f"{SERVER}/web/test_streaming.py::test_a_client_that_does_not_read_its_stream_is_cut_off",
        ],
    ),
    "HTTP spoken to the SMTP port": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                if is_http(line):
                    self._refuse_http()
                else:
                    self._answer(Answer(reply, "invalid-command"))
                """,
                without='self._answer(Answer(reply, "invalid-command"))',
            ),
        ],
        tests=[
            f"{SERVER}/smtpd/test_protocol.py::TestHttp::test_a_request_of_http_is_the_end",
        ],
    ),
    "a client that a proxy names illegibly": Case(
        guards=[
            Guard(
                "postal_server/wire/http.py",
                code="""
                except ValueError:
                    return ""
                if not is_in(client, trusted):
                """,
                without="""
                except ValueError:
                    return peer
                if not is_in(client, trusted):
                """,
            ),
        ],
        tests=[
            f"{SERVER}/wire/test_http.py::test_client_is_the_last_address_no_proxy_of_ours_has",
            f"{SERVER}/web/test_probes.py::test_metrics_are_for_this_machine",
        ],
    ),
    "digits and letters of other scripts": Case(
        guards=[
            Guard(
                "postal_server/smtpd/commands.py",
                code=r'CHUNK = re.compile(r" (\d{1,19})( LAST)?", re.ASCII | re.IGNORECASE)',
                without=r'CHUNK = re.compile(r" (\d{1,19})( LAST)?", re.IGNORECASE)',
            ),
            Guard(
                "postal_server/smtpd/commands.py",
                code="""
                COMMAND = re.compile(f"({'|'.join(VERBS)})(.*)", re.ASCII | re.IGNORECASE)
                """,
                without="""
                COMMAND = re.compile(f"({'|'.join(VERBS)})(.*)", re.IGNORECASE)
                """,
            ),
            Guard(
                "postal_server/rules/outcome.py",
                code=r'NAMED_WAIT = re.compile(r"(\d{1,6}) (second|minute)s?\b", re.ASCII | re.IGNORECASE)',
                without=r'NAMED_WAIT = re.compile(r"(\d{1,6}) (second|minute)s?\b", re.IGNORECASE)',
            ),
        ],
        tests=[
            f"{SERVER}/smtpd/test_commands.py::test_a_chunk_without_a_size_is_hostile",
            f"{SERVER}/smtpd/test_commands.py::test_a_verb_is_a_prefix_without_regard_to_case",
            f"{SERVER}/rules/test_outcome.py::test_a_wait_named_in_a_deferral_is_kept",
        ],
    ),
    "answers that are cut": Case(
        guards=[
            Guard(
                "postal_server/transports/http/response.py",
                code="if not self.is_done and (not self._has_head or has_length):",
                without="if not self.is_done and not self._has_head:",
            ),
        ],
        tests=[
            f"{SERVER}/transports/http/test_response.py::test_an_answer_that_is_cut_is_none",
        ],
    ),
    "header names that mean something to a language (Haraka, CVE-2026-34752)": Case(
        guards=[
            Guard(
                "postal_server/mail/message_view.py",
                code="values_by_name.setdefault(key, []).append(value)",
                without="getattr(values_by_name, key, values_by_name.setdefault(key, [])).append(value)",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::"
            "test_haraka_cve_2026_34752_names_of_objects_are_header_fields_like_others",
        ],
    ),
    "TLS that ends within a chunk (Exim, CVE-2026-45185)": Case(
        guards=[
            Guard(
                "postal_server/smtpd/data.py",
                code="is_read = not self._missing_bytes",
                without="is_read = True",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::test_exim_cve_2026_45185_tls_that_ends_within_a_chunk_is_the_end",
        ],
    ),
    "what a refused message leaves behind (Postfix 3.11.6)": Case(
        guards=[
            Guard(
                "postal_server/smtpd/protocol.py",
                code="""
                self._follow(Event.MESSAGE_ANSWERED)
                self._transaction.end()
                """,
                without="self._follow(Event.MESSAGE_ANSWERED)",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::TestPostfix::"
            "test_nothing_is_kept_of_a_message_that_was_refused_at_its_end",
            f"{ATTACKS}/test_advisories.py::TestPostfix::test_many_tiny_chunks_are_a_message_or_too_many",
            f"{ATTACKS}/test_advisories.py::TestPostfix::test_a_bad_chunk_leaves_the_message_as_it_was",
        ],
    ),
    "commands behind what is drained (Mailpit 1.31)": Case(
        guards=[
            Guard(
                "postal_server/smtpd/data.py",
                code="""
                self._look_ahead(buffer)
                return False
                """,
                without="""
                self._look_ahead(buffer)
                return self._is_discarding
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::TestMailpit::"
            "test_1_31_commands_behind_a_message_that_is_too_large_are_in_step",
        ],
    ),
    "DNS rebinding against the pages (Mailpit 1.31.1)": Case(
        guards=[
            Guard(
                "postal_server/web/application.py",
                code="""
                if not self._is_own_host(request):
                    return InLoop(self._refuse_host)
                """,
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::TestMailpit::test_1_31_1_dns_rebinding_shows_no_page",
        ],
    ),
    "a mail that ends a process (Mailpit 1.34.0)": Case(
        guards=[
            Guard(
                "postal_server/mail/charset.py",
                code='if not codec.endswith("_codec") and codec not in ("rot_13", "mbcs")',
                without='if codec != "mbcs"',
            ),
        ],
        tests=[
            f"{ATTACKS}/test_advisories.py::TestMailpit::test_1_34_0_no_crafted_mail_ends_the_server",
        ],
    ),
    "time of one mail in the library": Case(
        guards=[
            Guard(
                "anymail_postal/structure.py",
                code="if depth < MAX_DEPTH and self._looks > 0:",
                without="if self._looks > 0:",
            ),
            Guard(
                "anymail_postal/structure.py",
                code="""
                if self._parts >= MAX_PARTS:
                    break
                """,
            ),
        ],
        tests=[
            f"{LIBRARY}/test_structure.py::test_parts_within_parts_are_read_to_a_depth",
            f"{LIBRARY}/test_structure.py::test_parts_are_read_up_to_a_number",
            f"{LIBRARY}/test_time.py::test_hostile_mail",
            f"{LIBRARY}/test_time.py::test_two_megabytes_of_structure_cost_no_more_than_their_share",
            f"{LIBRARY}/test_time.py::test_hostile_hash",
            f"{LIBRARY}/test_time.py::test_hostile_event",
            f"{LIBRARY}/test_time.py::test_hostile_address_to_send_to",
        ],
    ),
    "header injection through the library": Case(
        guards=[
            Guard(
                "anymail_postal/mime.py",
                code="if _LINE_BREAK.search(value):",
                without="if not value.isprintable() and not value:",
            ),
            Guard(
                "anymail_postal/header_values.py",
                code='value = _SEPARATORS.sub(" ", value) if _SEPARATORS.search(value) else value',
            ),
        ],
        tests=[
            f"{LIBRARY}/test_backend.py::test_line_breaks_in_addresses_are_refused_as_django_promises",
            f"{LIBRARY}/test_backend.py::test_line_breaks_in_headers_are_refused_as_django_promises",
            f"{LIBRARY}/test_inbound_message.py::test_subject_is_one_line_that_every_database_takes",
        ],
    ),
    "a seen post sent again under another content type": Case(
        guards=[
            Guard(
                "anymail_postal/body.py",
                code="return parse_form(body) if is_form and not is_object(body) else parse_json(body)",
                without="return parse_form(body) if is_form else parse_json(body)",
            ),
            Guard(
                "anymail_postal/webhooks.py",
                code="""
                if not post_body.is_object(body):
                    raise UnreadableBody("Webhooks are JSON, not forms.")
                """,
            ),
        ],
        tests=[
            f"{LIBRARY}/test_webhooks.py::"
            "test_seen_event_sent_again_under_another_content_type_is_the_same_event",
            f"{LIBRARY}/test_webhooks.py::"
            "test_seen_mail_sent_again_under_another_content_type_is_the_same_mail",
            f"{LIBRARY}/test_webhooks.py::test_form_at_the_tracking_url_is_no_event",
        ],
    ),
    "a key set that never ends": Case(
        guards=[
            Guard(
                "anymail_postal/fetching.py",
                code="""
                if seconds <= 0:
                    raise TimeoutError("the response takes too long")
                self._connected.settimeout(seconds)
                """,
            ),
            Guard(
                "anymail_postal/fetching.py",
                code="""
                if len(content) > MAX_BYTES:
                    raise ValueError("the response is too large")
                """,
            ),
        ],
        tests=[
            f"{LIBRARY}/test_fetching.py::test_answer_that_drips_is_given_up_in_time",
            f"{LIBRARY}/test_fetching.py::test_answer_is_bounded_in_size",
        ],
    ),
    "the API key taken along by a redirect": Case(
        guards=[
            Guard(
                "anymail_postal/api.py",
                code="allow_redirects=False,",
            ),
        ],
        tests=[
            f"{LIBRARY}/test_backend.py::test_the_key_is_not_taken_along_by_a_redirect",
            f"{LIBRARY}/test_api.py::test_redirects_are_not_followed",
        ],
    ),
    "the API key in a pickled error": Case(
        guards=[
            Guard(
                "anymail_postal/errors.py",
                code="for name, value in vars(self).items() if name not in LIVE",
                without="for name, value in vars(self).items()",
            ),
        ],
        tests=[
            f"{LIBRARY}/test_errors.py::test_every_error_can_be_pickled_for_a_task_queue_without_the_key",
        ],
    ),
    "mail that leaves a server which catches it": Case(
        guards=[
            Guard(
                "postal_server/rules/delivery_policy.py",
                code="split_address(key)[1] in self.domains",
                without="key.endswith(tuple(self.domains))",
            ),
            Guard(
                "postal_server/services/preparation/target.py",
                code="""
                if policy_of(config).catches(recipient):
                    return _catch(domain, config)
                if relays := _relays(config.postal.smtp_relays):
                """,
                without="if relays := _relays(config.postal.smtp_relays):",
            ),
            Guard(
                "postal_server/services/preparation/target.py",
                code="""
                if policy_of(config).catches(recipient):
                    return _catch(domain, config)
                return Target(
                """,
                without="return Target(",
            ),
            Guard(
                "postal_server/services/shared/operator_mail.py",
                code="""
                if not policy_of(config).catches(recipient):
                    return config.smtp
                """,
                without="return config.smtp",
            ),
            Guard(
                "postal_server/services/operations/tls_report.py",
                code="if may_post and self._posted(url, report)",
                without="if self._posted(url, report)",
            ),
            Guard(
                "postal_server/runtime/assembly.py",
                code="return HostsByDomain(policy.may_reach, mx_hosts, catch_hosts)",
                without="return mx_hosts",
            ),
        ],
        tests=[
            f"{SERVER}/rules/test_delivery_policy.py::test_only_who_is_listed_gets_mail",
            f"{SERVER}/services/preparation/test_target.py::test_only_who_is_listed_gets_mail",
            f"{SERVER}/services/shared/test_operator_mail.py::"
            "test_where_mail_for_its_recipient_is_caught_so_is_this",
            f"{SERVER}/services/operations/test_tls_report.py::"
            "test_none_is_posted_once_mail_for_the_domain_is_caught",
            f"{SERVER}/runtime/test_assembly.py::test_hosts_are_found_only_for_domains_that_mail_may_reach",
        ],
    ),
    "strangers who reach the catch": Case(
        guards=[
            Guard(
                "postal_server/runtime/assembly.py",
                code="if address.is_unspecified or not address.is_private:",
                without="if address.is_unspecified:",
            ),
            Guard(
                "postal_server/runtime/assembly.py",
                code="if address.is_unspecified or not address.is_private:",
                without="if not address.is_private:",
            ),
        ],
        tests=[f"{SERVER}/runtime/test_assembly.py::test_the_catch_is_nowhere_that_strangers_reach"],
    ),
    "memory": Case(
        guards=[
            Guard(
                "postal_server/api/views.py",
                code="action.read(_parameters(request))",
                without="action.read(parameters := _parameters(request))",
            ),
        ],
        tests=[
            f"{ATTACKS}/test_memory.py::test_mail_over_smtp_in_and_out",
            f"{ATTACKS}/test_memory_of_ways.py::test_mail_over_the_api",
            f"{ATTACKS}/test_memory_of_ways.py::test_large_attachment_over_the_api",
            f"{ATTACKS}/test_memory_of_ways.py::test_mail_posted_to_an_endpoint",
        ],
    ),
}
