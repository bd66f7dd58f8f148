"""Every security case of this field, and the tests that hold it. Most stand beside the code."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SERVER = "tests/postal_server"
CASES = {
    "SMTP smuggling in (CVE-2024-27938)": [
        "tests/security/test_smtp.py::test_cve_2024_27938_a_message_smuggled_in_is_text",
        f"{SERVER}/smtpd/test_protocol.py::test_cve_2024_27938_only_crlf_dot_crlf_ends_a_message",
        f"{SERVER}/smtpd/test_protocol.py::test_smuggling_in_what_is_drained",
    ],
    "SMTP smuggling out (CVE-2023-51764)": [
        "tests/security/test_smtp.py::test_cve_2023_51764_no_message_is_smuggled_out",
        f"{SERVER}/transports/smtp/test_protocol.py::test_cve_2023_51764_no_end_of_data_is_smuggled_out",
    ],
    "commands injected behind STARTTLS": [
        "tests/security/test_smtp.py::test_commands_injected_behind_starttls_are_not_obeyed",
        f"{SERVER}/smtpd/test_tls.py::test_commands_injected_behind_starttls_are_thrown_away",
        f"{SERVER}/smtpd/test_tls.py::test_authentication_does_not_survive_starttls",
    ],
    "replies injected behind STARTTLS": [
        f"{SERVER}/transports/smtp/test_session.py::"
        "test_text_injected_behind_the_answer_to_starttls_is_not_believed",
    ],
    "HTTP request smuggling": [
        f"{SERVER}/web/test_server.py::test_a_body_that_nobody_read_is_no_next_request",
        f"{SERVER}/web/test_server.py::"
        "test_request_smuggling_a_body_in_chunks_that_nobody_read_is_no_next_request",
        f"{SERVER}/web/test_server.py::test_request_smuggling_trailers_are_no_next_request",
    ],
    "HTML in delivery details": [
        "tests/security/test_api.py::test_html_in_delivery_details_is_kept_as_text",
        f"{SERVER}/admin/test_pages.py::test_nothing_of_a_mail_is_markup_in_the_page",
    ],
    "XSS through a shown mail": [
        f"{SERVER}/admin/test_pages.py::test_html_is_a_page_that_can_do_nothing",
        f"{SERVER}/admin/test_pages.py::test_nothing_of_a_mail_is_markup_in_the_page",
        f"{SERVER}/mail/test_html.py::test_nothing_that_runs_or_connects_elsewhere_is_left",
        f"{SERVER}/mail/test_html.py::test_no_css_ends_its_block_or_fetches",
    ],
    "connections that a shown mail asks for (preconnect, dns-prefetch)": [
        f"{SERVER}/mail/test_html.py::test_nothing_that_runs_or_connects_elsewhere_is_left",
        f"{SERVER}/admin/test_pages.py::test_html_is_a_page_that_can_do_nothing",
    ],
    "time that the structure of one mail takes": [
        f"{SERVER}/mail/test_mime.py::test_time_to_read_a_hostile_mail_is_bounded",
        f"{SERVER}/mail/test_mime.py::test_nested_boundaries_cost_no_more_than_the_text_has_bytes",
        f"{SERVER}/mail/test_bounce.py::test_time_to_recognise_a_hostile_report_is_bounded",
    ],
    "time that cleaning a shown mail takes": [
        f"{SERVER}/mail/test_html.py::test_time_to_clean_is_bounded",
        f"{SERVER}/mail/test_html.py::test_what_cannot_be_cleaned_in_time_is_shown_as_text",
    ],
    "text that a database does not take (NUL, halves of characters)": [
        f"{SERVER}/models/test_fields.py::test_the_database_takes_whatever_stands_there",
        f"{SERVER}/mail/test_charset.py::test_any_database_takes_the_text",
        f"{SERVER}/mail/test_message_view.py::test_nothing_shown_has_a_nul",
    ],
    "a flood of opens and clicks": [
        f"{SERVER}/services/test_tracking.py::test_a_flood_is_counted_but_told_no_more",
    ],
    "HTML that takes long to read": [
        f"{SERVER}/mail/test_html_tags.py::test_no_document_is_read_without_end",
        f"{SERVER}/mail/test_links.py::test_no_part_has_links_without_end",
        f"{SERVER}/mail/test_tracking.py::test_a_flood_takes_no_time",
    ],
    "server-side request forgery by endpoint": [
        "tests/security/test_ssrf.py::test_endpoint_inside_the_network_is_not_posted_to",
        f"{SERVER}/rules/test_request_destination.py::test_a_special_address_is_refused",
        f"{SERVER}/transports/test_http.py::test_this_machine_cannot_be_posted_to",
    ],
    "server-side request forgery by webhook": [
        "tests/security/test_ssrf.py::test_webhook_inside_the_network_is_not_posted_to",
    ],
    "SMTP to private addresses": [
        "tests/security/test_ssrf.py::test_mail_to_an_address_inside_the_network_is_not_sent",
        f"{SERVER}/transports/smtp/test_connect.py::test_mx_host_inside_is_passed_over",
        f"{SERVER}/transports/smtp/test_connect.py::test_literal_inside_is_not_connected_to",
        f"{SERVER}/transports/smtp/test_connect.py::test_no_other_way_leads_inside",
        f"{SERVER}/rules/test_request_destination.py::test_a_special_address_is_refused",
    ],
    "server-side request forgery by redirect": [
        "tests/security/test_ssrf.py::test_redirect_into_the_network_is_not_followed",
        f"{SERVER}/transports/test_http.py::test_every_status_is_a_result_and_redirects_are_not_followed",
    ],
    "server-side request forgery by DNS rebinding": [
        f"{SERVER}/transports/test_http.py::"
        "test_dns_rebinding_a_name_is_looked_up_once_and_connected_to_where_it_was_checked",
        f"{SERVER}/transports/test_http.py::test_a_name_with_a_private_address_is_refused",
    ],
    "header injection through an address": [
        "tests/security/test_smtp.py::test_header_injection_through_an_smtp_argument_is_refused",
        "tests/security/test_api.py::test_command_injection_through_a_recipient_is_refused",
        f"{SERVER}/api/test_views.py::test_recipient_that_no_command_can_hold_is_refused",
    ],
    "header injection through the subject and other parameters": [
        "tests/security/test_api.py::test_header_injection_through_a_parameter_adds_no_header",
        "tests/security/test_api.py::test_header_injection_through_a_header_name_is_refused",
        f"{SERVER}/api/test_views.py::test_subject_cannot_add_a_header",
    ],
    "header injection through a name of a client": [
        "tests/security/test_smtp.py::"
        "test_header_injection_through_folded_names_of_a_client_stays_in_its_line",
        f"{SERVER}/transports/test_http.py::test_a_header_cannot_break_out_of_its_line",
    ],
    "a From of others by what programs parse differently": [
        f"{SERVER}/mail/test_address_list.py::test_an_author_that_readers_take_for_different_ones_is_refused",
        f"{SERVER}/services/test_submission.py::test_nobody_sends_from_a_domain_of_others",
        f"{SERVER}/services/test_submission.py::test_nobody_sends_from_a_domain_of_others_over_send_message",
        f"{SERVER}/services/test_submission.py::"
        "test_a_sender_counts_where_the_server_allows_it_and_only_if_it_is_unmistakable",
    ],
    "a From of others behind more fields than are read": [
        f"{SERVER}/services/test_submission.py::test_nobody_sends_from_a_domain_of_others",
        f"{SERVER}/services/test_submission.py::"
        "test_what_is_too_large_a_header_over_smtp_is_so_over_send_raw",
    ],
    "a From of others by a carriage return that is repaired": [
        f"{SERVER}/services/test_submission.py::"
        "test_a_header_that_would_be_sent_otherwise_than_it_is_read_is_refused",
    ],
    "mail delivered to another address than was named": [
        f"{SERVER}/mail/test_address.py::test_an_envelope_address_is_stable_and_means_the_same_mailbox",
        f"{SERVER}/mail/test_address_list.py::test_a_text_with_somebody_unclear_in_it_is_refused",
        f"{SERVER}/services/test_submission.py::test_a_quoted_local_part_goes_to_its_own_domain",
    ],
    "time of one API call": [
        f"{SERVER}/wire/test_api.py::test_too_much_text_for_a_header_is_refused_by_its_parameter",
        f"{SERVER}/wire/test_api.py::test_the_longest_texts_are_composed_in_50_milliseconds",
        f"{SERVER}/wire/test_api.py::test_a_form_of_many_levels_is_read_in_linear_time",
        f"{SERVER}/mail/test_transport_encoding.py::test_a_line_of_many_megabytes_is_folded_in_linear_time",
    ],
    "unbounded DATA": [
        "tests/security/test_smtp.py::test_unbounded_data_is_drained_and_refused",
        "tests/security/test_smtp.py::test_unbounded_chunk_is_refused",
        f"{SERVER}/smtpd/test_protocol.py::test_unbounded_data_is_drained_before_it_is_refused",
        f"{SERVER}/smtpd/test_protocol.py::test_a_slow_sender_is_cut_off_although_it_never_pauses",
    ],
    "unbounded command line": [
        "tests/security/test_smtp.py::test_unbounded_command_line_is_not_kept",
        "tests/security/test_smtp.py::test_unbounded_authentication_is_not_kept",
        f"{SERVER}/smtpd/test_protocol.py::test_unbounded_command_line",
    ],
    "unbounded commands and recipients": [
        "tests/security/test_smtp.py::test_unbounded_recipients_are_refused",
        f"{SERVER}/smtpd/test_protocol.py::test_commands_without_a_message",
        f"{SERVER}/smtpd/test_protocol.py::test_errors_without_a_message",
        f"{SERVER}/smtpd/test_protocol.py::test_connections_of_a_client",
    ],
    "unbounded JSON body": [
        "tests/security/test_api.py::test_unbounded_body_that_is_announced_is_not_read",
        "tests/security/test_api.py::test_unbounded_body_in_chunks_ends",
        "tests/security/test_api.py::test_endless_header_is_cut_off",
        f"{SERVER}/web/test_server.py::test_a_body_that_will_not_end_is_not_waited_for",
        f"{SERVER}/web/test_server.py::test_a_body_that_is_not_read_is_held_back",
        f"{SERVER}/web/test_server.py::test_a_body_in_chunks_that_nobody_reads_ends",
        f"{SERVER}/web/test_server.py::test_too_much_header_is_a_431",
        f"{SERVER}/web/test_server.py::test_a_request_that_comes_a_byte_at_a_time_is_a_408",
    ],
    "compression bombs": [
        "tests/security/test_ssrf.py::test_compression_bomb_of_an_endpoint_is_not_unpacked",
        f"{SERVER}/transports/test_answer.py::test_a_compression_bomb_yields_no_more_than_is_kept",
    ],
    "nesting bombs": [
        "tests/security/test_api.py::test_json_bomb_has_a_clear_answer",
        "tests/security/test_smtp.py::test_mime_bomb_is_delivered_within_bounds",
        f"{SERVER}/mail/test_mime.py::test_time_to_read_a_hostile_mail_is_bounded",
        f"{SERVER}/mail/test_mime.py::test_depth_is_bounded",
    ],
    "path traversal in attachment names": [
        f"{SERVER}/admin/test_pages.py::test_file_is_a_download_with_a_harmless_name",
        f"{SERVER}/admin/test_pages.py::test_file_names_are_safe",
    ],
    "SQL through ids": [
        "tests/security/test_api.py::test_sql_through_an_id_finds_nothing",
        f"{SERVER}/api/test_views.py::test_id_is_a_number_and_nothing_else",
    ],
    "SQL through condition keys (GHSA-x2hq-rfpg-3xr5)": [
        "tests/security/test_api.py::test_sql_through_expansions_expands_nothing",
        "tests/security/test_api.py::test_sql_through_another_parameter_finds_nothing_else",
        f"{SERVER}/admin/test_filters.py::test_filter_is_never_sql",
        f"{SERVER}/admin/test_filters.py::test_condition_that_is_always_true_shows_nothing",
    ],
    "credential echo": [
        "tests/security/test_api.py::test_credential_echo_is_for_the_wire_only",
        "tests/security/test_api.py::test_credential_echo_is_no_markup",
        "tests/security/test_smtp.py::test_wrong_keys_are_not_logged",
        "tests/anymail_postal/test_errors.py::test_the_key_is_redacted",
    ],
    "mail and keys that every user of the machine can read": [
        f"{SERVER}/test_files.py::test_file_modes_each_file_that_others_can_open_is_named_with_the_cure",
        f"{SERVER}/test_files.py::test_file_modes_others_are_kept_out_of_an_installation_that_exists",
        f"{SERVER}/test_cli.py::test_file_modes_of_a_new_installation_are_the_owners_alone",
        f"{SERVER}/test_cli.py::test_file_modes_start_up_warns_of_what_others_can_open",
    ],
    "forged bounces": [
        f"{SERVER}/services/test_bounce.py::test_recipient_of_a_group_gets_no_other_recipient_bounced",
        f"{SERVER}/services/test_bounce.py::"
        "test_by_message_id_and_recipient_where_the_return_path_has_no_token",
        f"{SERVER}/services/test_bounce.py::test_never_by_the_recipient_or_by_the_message_id_alone",
    ],
    "backscatter": [
        f"{SERVER}/services/test_notice.py::test_it_is_a_report_that_programs_and_people_understand",
        f"{SERVER}/services/test_notice.py::test_who_is_told",
        f"{SERVER}/services/test_notice.py::test_program_is_not_told",
        f"{SERVER}/services/test_notice.py::test_address_is_written_to_so_often_in_an_hour",
        f"{SERVER}/services/test_delivery.py::test_a_stranger_hears_neither_the_url_nor_the_host_inside",
    ],
    "guessing of passwords and keys": [
        "tests/security/test_login.py::test_guesses_are_answered_429_and_logged",
        "tests/security/test_login.py::test_wrong_logins_at_once_do_not_slow_the_api",
        f"{SERVER}/web/test_login.py::test_nothing_tells_an_account_from_none",
        f"{SERVER}/services/test_throttle.py::test_stranger_cannot_keep_a_person_out",
        f"{SERVER}/services/test_throttle.py::test_memory_is_bounded",
        f"{SERVER}/smtpd/test_auth.py::test_wrong_key_counts_although_the_right_one_follows",
    ],
    "large headers in the event loop": [
        "tests/security/test_load.py::test_a_large_header_of_a_stranger_keeps_nobody_waiting",
        "tests/security/test_load.py::test_the_largest_headers_that_are_taken_keep_nobody_waiting",
        f"{SERVER}/smtpd/test_protocol.py::test_a_header_may_be_so_large",
        f"{SERVER}/smtpd/test_protocol.py::test_a_header_that_is_too_large_is_not_kept",
        f"{SERVER}/mail/test_header.py::test_a_header_has_so_many_bytes_and_fields",
        f"{SERVER}/mail/test_header.py::test_folds_without_end_are_unfolded_in_a_moment",
        f"{SERVER}/services/test_reception.py::test_a_subject_without_end_is_kept_as_it_came",
    ],
    "costly messages and requests": [
        "tests/security/test_load.py::test_a_costly_request_keeps_nobody_waiting",
        "tests/security/test_load.py::test_a_mail_that_is_costly_to_read_keeps_nobody_waiting",
    ],
    "time that the event loop takes for a line, a header, a body": [
        "tests/security/test_edges.py::test_command_line_is_read_in_a_moment",
        "tests/security/test_edges.py::test_header_of_http_is_read_in_a_moment",
        "tests/security/test_edges.py::test_body_is_read_in_a_moment",
        "tests/security/test_edges.py::test_call_of_the_api_is_read_in_a_moment",
    ],
    "memory of many SMTP clients": [
        "tests/security/test_load.py::"
        "test_unfinished_mail_of_strangers_takes_so_much_memory_and_keeps_nobody_waiting",
        f"{SERVER}/smtpd/test_protocol.py::test_unfinished_messages_of_strangers_have_a_bound_in_all",
        f"{SERVER}/smtpd/test_protocol.py::test_unfinished_messages_of_all_have_a_bound",
        f"{SERVER}/smtpd/test_protocol.py::test_the_largest_gives_way_to_an_ordinary_message",
        f"{SERVER}/smtpd/test_protocol.py::test_recipients_take_room_as_well",
        f"{SERVER}/engine/test_room.py::test_nobody_known_gives_way_to_a_stranger",
    ],
    "slow senders that were quick at first": [
        f"{SERVER}/smtpd/test_protocol.py::test_what_came_quickly_buys_no_time_for_what_comes_slowly",
        f"{SERVER}/smtpd/test_protocol.py::test_commands_between_chunks_buy_no_time",
        f"{SERVER}/web/test_server.py::test_what_came_quickly_buys_no_time_for_what_comes_slowly",
    ],
    "slow HTTP (Slowloris)": [
        "tests/security/test_load.py::test_slow_posts_of_strangers_keep_nobody_waiting",
        "tests/security/test_load.py::test_unfinished_requests_of_one_address_keep_nobody_waiting",
        f"{SERVER}/web/test_server.py::test_slow_bodies_that_are_wanted_hold_no_thread",
        f"{SERVER}/web/test_server.py::test_bodies_that_are_gathered_have_a_bound_in_all",
        f"{SERVER}/web/test_server.py::test_unfinished_requests_give_way_where_there_is_no_room_for_others",
        f"{SERVER}/web/test_server.py::test_a_client_has_so_many_connections_and_a_proxy_any_number",
        f"{SERVER}/web/test_application.py::test_a_body_is_gathered_for_who_may_send_it",
        f"{SERVER}/web/test_application.py::test_a_page_reads_no_body_of_more_than_a_form_has",
    ],
    "unbounded chunk extensions (CVE-2023-39326)": [
        f"{SERVER}/web/test_server.py::test_what_stands_around_chunks_has_an_end",
        f"{SERVER}/web/test_server.py::test_what_stands_around_small_chunks_has_an_end",
        f"{SERVER}/transports/test_answer.py::test_what_has_no_end_is_given_up",
    ],
    "HTTP spoken to the SMTP port": [
        f"{SERVER}/smtpd/test_protocol.py::test_a_request_of_http_is_the_end",
    ],
    "a client that a proxy names illegibly": [
        f"{SERVER}/wire/test_http.py::test_client_is_the_last_address_no_proxy_of_ours_has",
        f"{SERVER}/web/test_probes.py::test_metrics_are_for_this_machine",
    ],
    "digits and letters of other scripts": [
        f"{SERVER}/smtpd/test_commands.py::test_a_chunk_without_a_size_is_hostile",
        f"{SERVER}/smtpd/test_commands.py::test_a_verb_is_a_prefix_without_regard_to_case",
        f"{SERVER}/rules/test_outcome.py::test_a_wait_named_in_a_deferral_is_kept",
    ],
    "answers that are cut": [
        f"{SERVER}/transports/test_answer.py::test_an_answer_that_is_cut_is_none",
    ],
    "header names that mean something to a language (Haraka, CVE-2026-34752)": [
        "tests/security/test_advisories.py::"
        "test_haraka_cve_2026_34752_names_of_objects_are_header_fields_like_others",
    ],
    "TLS that ends within a chunk (Exim, CVE-2026-45185)": [
        "tests/security/test_advisories.py::test_exim_cve_2026_45185_tls_that_ends_within_a_chunk_is_the_end",
    ],
    "what a refused message leaves behind (Postfix 3.11.6)": [
        "tests/security/test_advisories.py::test_nothing_is_kept_of_a_message_that_was_refused_at_its_end",
        "tests/security/test_advisories.py::test_many_tiny_chunks_are_a_message_or_too_many",
        "tests/security/test_advisories.py::test_a_bad_chunk_leaves_the_message_as_it_was",
    ],
    "commands behind what is drained (Mailpit 1.31)": [
        "tests/security/test_advisories.py::"
        "test_1_31_commands_behind_a_message_that_is_too_large_are_in_step",
    ],
    "DNS rebinding against the pages (Mailpit 1.31.1)": [
        "tests/security/test_advisories.py::test_1_31_1_dns_rebinding_shows_no_page",
    ],
    "a mail that ends a process (Mailpit 1.34.0)": [
        "tests/security/test_advisories.py::test_1_34_0_no_crafted_mail_ends_the_server",
    ],
    "time of one mail in the library": [
        "tests/anymail_postal/test_time.py::test_hostile_mail",
        "tests/anymail_postal/test_time.py::test_two_megabytes_of_structure_cost_no_more_than_their_share",
        "tests/anymail_postal/test_time.py::test_hostile_hash",
        "tests/anymail_postal/test_time.py::test_hostile_event",
        "tests/anymail_postal/test_time.py::test_hostile_address_to_send_to",
        "tests/anymail_postal/test_structure.py::test_parts_within_parts_are_read_to_a_depth",
        "tests/anymail_postal/test_structure.py::test_parts_are_read_up_to_a_number",
    ],
    "header injection through the library": [
        "tests/anymail_postal/test_backend.py::test_line_breaks_in_addresses_are_refused_as_django_promises",
        "tests/anymail_postal/test_backend.py::test_line_breaks_in_headers_are_refused_as_django_promises",
        "tests/anymail_postal/test_inbound_message.py::test_subject_is_one_line_that_every_database_takes",
    ],
    "a seen post sent again under another content type": [
        "tests/anymail_postal/test_webhooks.py::"
        "test_seen_event_sent_again_under_another_content_type_is_the_same_event",
        "tests/anymail_postal/test_webhooks.py::"
        "test_seen_mail_sent_again_under_another_content_type_is_the_same_mail",
        "tests/anymail_postal/test_webhooks.py::test_form_at_the_tracking_url_is_no_event",
    ],
    "a key set that never ends": [
        "tests/anymail_postal/test_keys.py::test_answer_that_drips_is_given_up_in_time",
        "tests/anymail_postal/test_keys.py::test_answer_is_bounded_in_size",
    ],
    "the API key taken along by a redirect": [
        "tests/anymail_postal/test_backend.py::test_the_key_is_not_taken_along_by_a_redirect",
        "tests/anymail_postal/test_client.py::test_redirects_are_not_followed",
    ],
    "the API key in a pickled error": [
        "tests/anymail_postal/test_errors.py::"
        "test_every_error_can_be_pickled_for_a_task_queue_without_the_key",
    ],
    "memory": [
        "tests/security/test_memory.py::test_mail_over_smtp_in_and_out",
        "tests/security/test_memory.py::test_mail_over_the_api",
        "tests/security/test_memory.py::test_large_attachment_over_the_api",
        "tests/security/test_memory.py::test_mail_posted_to_an_endpoint",
    ],
}


@pytest.mark.parametrize("tests", CASES.values(), ids=CASES.keys())
def test_every_case_has_its_tests(tests):
    for test in tests:
        path, _, name = test.partition("::")
        tree = ast.parse((ROOT / path).read_text("utf-8"))
        names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert name in names, test
