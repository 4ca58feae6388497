from __future__ import annotations

import time

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


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("git clone https://oauth2:plant-ed@host/x", "git clone https://oauth2:***@host/x"),
        ("a://b://u:planted@h", "a://b:***@h"),
        ("'a://b:c' d://u:planted@h", "'a://b:c' d://u:***@h"),
        ("url='a://b:c',other=d://u:planted@h", "url='a://b:c',other=d://u:***@h"),
        ("http://host:80/a http://u:planted@h@i", "http://host:80/a http://u:***@h@i"),
        ("http://u:p\n@h", "http://u:p\n@h"),
        ("http://u:@h", "http://u:@h"),
        ("mail me@host or see a://b", "mail me@host or see a://b"),
        (f"git+https://{'t' * 20}@host", "git+https://***@host"),
        (f"git+https://{'t' * 19}@host", f"git+https://{'t' * 19}@host"),
        (f"https://host/{'t' * 30}@v1", f"https://host/{'t' * 30}@v1"),
    ],
)
def test_only_what_stands_for_a_login_is_masked_before_an_at_sign(text, shown):
    assert Masker().text(text) == shown


@pytest.mark.parametrize(
    "text", ["task-abcdefghijklmnopqrst", "highp_abcdefghijklmnopqrst", "half_abcdefghijklmnopqrst"]
)
def test_the_end_of_a_word_does_not_begin_a_key(text):
    assert Masker().text(text) == text


def test_shapes_that_overlap_are_masked_to_the_end_of_the_last():
    assert Masker().text("Basic abcdefgh/sk-abcdefghijkl-mnopqr end") == f"Basic {MASK} end"


@pytest.mark.parametrize(
    "piece",
    [
        "://",
        "://a:",
        "://a:b",
        "://a:'",
        "a://b:c ",
        "@",
        "://a@",
        "aaaa",
        "a= ",
        "Bearer ",
        "sk-",
        "xsk-",
        "/api/webhooks/",
    ],
)
def test_masking_takes_time_in_proportion_to_the_text_whatever_it_holds(piece):
    def took_s(size):
        text = (piece * (size // len(piece) + 1))[:size] + "'@"
        began = time.thread_time()
        Masker().source(text)
        return time.thread_time() - began

    # 16 times the text: 16 times as long, and 256 times were it quadratic. The least of some tries is free of pauses.
    short, long = (min(took_s(size) for _ in range(5)) for size in (4_000, 64_000))
    assert long < 64 * max(short, 2e-5)
