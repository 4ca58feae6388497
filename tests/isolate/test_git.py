import subprocess

import pytest

from burnish.isolate.git import read_code_state


@pytest.fixture
def git(tmp_path):
    def run(*words):
        subprocess.run(["git", "-C", tmp_path, *words], check=True, capture_output=True)

    run("init", "-q", "-b", "main")
    return run


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("https://me:planted@host/o/r.git", "https://host/o/r.git"),
        ("https://planted@host/o/r.git", "https://host/o/r.git"),
        ("https://host/o/r.git?token=planted", "https://host/o/r.git"),
        ("git@github.com:o/r.git", "git@github.com:o/r.git"),
        ("ssh://git@host/o/r.git", "ssh://git@host/o/r.git"),
        ("/srv/git/r.git", "/srv/git/r.git"),
    ],
)
def test_remote_is_told_without_its_login(git, tmp_path, address, shown):
    git("remote", "add", "origin", address)
    assert read_code_state(tmp_path).remote == shown


def test_token_that_git_would_put_into_the_address_is_not_told(git, tmp_path):
    git("config", "url.https://planted-token@github.com/.insteadOf", "gh:")
    git("remote", "add", "origin", "gh:o/r")
    assert read_code_state(tmp_path).remote == "gh:o/r"


def test_remote_of_the_branch_comes_before_origin_and_origin_before_others(git, tmp_path):
    git("remote", "add", "another", "https://host/another")
    assert read_code_state(tmp_path).remote == "https://host/another"
    git("remote", "add", "origin", "https://host/origin")
    assert read_code_state(tmp_path).remote == "https://host/origin"
    git("config", "branch.main.remote", "another")
    assert read_code_state(tmp_path).remote == "https://host/another"


def test_repository_without_a_remote_has_none(git, tmp_path):
    assert read_code_state(tmp_path).remote == ""
