import pytest

from burnish.core.secrets import Masker, is_secret_name


@pytest.mark.parametrize(
    "name",
    [
        "HF_TOKEN",
        "api-key",
        "apikey",
        "wandb.api_key",
        "AWS_SECRET_ACCESS_KEY",
        "password",
        "db_passwd",
        "x.auth",
        "credentials",
    ],
)
def test_name_of_a_credential_is_known(name):
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["max_tokens", "tokenizer", "author", "secretary", "key", "passwords_seen", "TOKENS"])
def test_name_of_something_else_is_not_taken_for_one(name):
    assert not is_secret_name(name)


def test_values_of_credential_variables_are_masked_and_others_stay():
    masker = Masker.from_environment({"HF_TOKEN": "hf_secret", "HOME": "/home/me"})
    assert masker.text("hf_secret in /home/me, hf_secret") == "*** in /home/me, ***"


def test_short_values_are_not_masked():
    assert Masker.from_environment({"HF_TOKEN": "1"}).text("step 1") == "step 1"


def test_longer_value_is_masked_before_one_that_it_contains():
    masker = Masker.from_environment({"A_TOKEN": "abcdef", "B_TOKEN": "abcdef-ghijkl"}, extra=["zzzzzz"])
    assert masker.text("abcdef-ghijkl abcdef zzzzzz") == "*** *** ***"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("postgres://me:hunter2@host/db", "postgres://me:***@host/db"),
        ("redis://:hunter2@host", "redis://:***@host"),
        ("a http://u:p@h and https://v:q@i", "a http://u:***@h and https://v:***@i"),
        ("https://host:8080/a@b", "https://host:8080/a@b"),
        ("http://me@host", "http://me@host"),
    ],
)
def test_password_in_a_url_is_masked(text, masked):
    assert Masker().text(text) == masked


@pytest.mark.parametrize(
    ("argv", "shown"),
    [
        (["--hf-token", "x", "--lr", "1"], ["--hf-token", "***", "--lr", "1"]),
        (["--hf_token=x", "api_key=y"], ["--hf_token=***", "api_key=***"]),
        (["token", "x"], ["token", "x"]),
        (["--tracking.wandb.api_key", "x"], ["--tracking.wandb.api_key", "***"]),
        (["--url=http://u:p@h"], ["--url=http://u:***@h"]),
        (["--max-tokens", "5"], ["--max-tokens", "5"]),
        (["--token"], ["--token"]),
    ],
)
def test_secret_flags_are_masked_in_a_command_line(argv, shown):
    assert Masker().command(argv) == shown


def test_credentials_are_not_in_the_masker_s_own_representation():
    assert "hf_secret" not in repr(Masker(("hf_secret",)))


@pytest.mark.parametrize(
    "name",
    ["max_token_len", "ppo_max_token_len_per_gpu", "per_token_loss", "pad_token_id", "auth_type", "stop_token_ids"],
)
def test_a_setting_that_only_speaks_of_tokens_is_no_credential(name):
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "BURNISH_WEBHOOK_URL",
        "DISCORD_WEBHOOK",
        "WEBHOOK_URL_ALERTS",
        "MYWEBHOOK",
        "slackWebhookUrl",
        "SLACK_URL",
        "SLACK_HOOK",
        "SLACK_ALERTS_URL",
        "notify.webhook",
        "TEAMS_WEBHOOK_URI",
    ],
)
def test_address_of_a_webhook_is_a_credential(name):
    assert is_secret_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "webhook_timeout_s",
        "notify.webhook.retries",
        "WEBHOOK_LEVEL",
        "SLACK_CHANNEL",
        "slack",
        "BASE_URL",
        "slacker_url",
    ],
)
def test_setting_of_a_webhook_is_no_credential(name):
    assert not is_secret_name(name)


def test_address_of_a_webhook_in_the_environment_is_masked_everywhere():
    masker = Masker.from_environment({"BURNISH_WEBHOOK_URL": "https://alerts.example/hook/planted"})
    assert masker.text("POST https://alerts.example/hook/planted failed") == "POST *** failed"
    assert masker.command(["curl", "--webhook-url", "x"]) == ["curl", "--webhook-url", "***"]
