from __future__ import annotations

import pytest

from burnish.core.secrets import MASK, Masker


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: Bearer {}",
        "https://{}@host/x",
        "sk-{}",
        "hf_{}",
        "ghp_{}",
    ],
)
def test_what_looks_like_a_credential_is_masked_without_being_known(text):
    secret = "abcdEFGH12345678ijklMNOP"
    assert secret not in Masker().text(text.format(secret))


def test_a_password_with_a_slash_in_a_url_is_masked_whole():
    assert Masker().text("postgres://u:plant/pw@h/db") == f"postgres://u:{MASK}@h/db"


def test_a_literal_assigned_to_a_credentials_name_is_masked_in_source():
    source = "+API_KEY = \"plant-diff-zz3\"\n+name = 'harmless words'\n+eos_token = '<|endoftext|>'\n"
    assert Masker().source(source) == f"+API_KEY = \"{MASK}\"\n+name = 'harmless words'\n+eos_token = '<|endoftext|>'\n"


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("https://hooks.slack.com/services/T0/B0/planted", "https://hooks.slack.com/***"),
        ("https://discord.com/api/webhooks/123/planted-x", "https://discord.com/api/webhooks/***"),
        ("https://me.webhook.office.com/webhookb2/a@b/planted", "https://me.webhook.office.com/***"),
        ("https://example.com/services/T0", "https://example.com/services/T0"),
    ],
)
def test_webhook_of_a_known_service_is_masked_without_being_known(url, shown):
    assert Masker().text(f"posting to {url}: 404") == f"posting to {shown}: 404"
