"""What W&B's server has to be asked before anything is uploaded: how many rows of a run it holds."""

from __future__ import annotations

import base64
import configparser
import json
import netrc
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from burnish.core.shape import section
from burnish.sinks.base import Refused
from burnish.sinks.wandb.records import Identity

_CLOUD: Final = "https://api.wandb.ai"
_TIMEOUT_S: Final = 20.0
_DENIED: Final = (401, 403)
# what W&B's client asks before it resumes a run
_QUERY: Final = """query RunResumeStatus($project: String, $entity: String, $name: String!) {
  viewer { entity }
  model(name: $project, entityName: $entity) {
    entity { name }
    bucket(name: $name, missingOk: true) { historyLineCount }
  }
}"""


@dataclass(frozen=True, slots=True)
class Held:
    """What the server has of a run.

    Attributes:
        rows: Lines of its history.
        entity: Under whose name it is; empty where the server does not say.
    """

    rows: int
    entity: str


@dataclass(frozen=True, slots=True)
class Server:
    """W&B's server with a login, both found as W&B's client finds them.

    Attributes:
        url: The address of its API.
        key: The API key.
    """

    url: str
    key: str = field(repr=False)

    @classmethod
    def find(cls, environ: Mapping[str, str]) -> Server:
        """Return the server, from `WANDB_BASE_URL` and `WANDB_API_KEY`, else from what `wandb login` wrote.

        Raises:
            Refused: There is no login.
        """
        home = Path(environ.get("HOME") or Path.home())
        url = (environ.get("WANDB_BASE_URL") or _logged_in_at(environ, home) or _CLOUD).rstrip("/")
        key = environ.get("WANDB_API_KEY") or _of_netrc(environ, home, urlsplit(url).hostname or "")
        if not key:
            raise Refused(f"mode: 'online' needs a login at {url}; set WANDB_API_KEY or type `wandb login`")
        return cls(url, key)

    def held(self, identity: Identity) -> Held:
        """Return what the server has of a run.

        Raises:
            Refused: It does not take the login.
            OSError: It does not answer as W&B does.
        """
        asked = {"project": identity.project, "entity": identity.entity or None, "name": identity.id}
        body = json.dumps({"operationName": "RunResumeStatus", "query": _QUERY, "variables": asked}).encode()
        token = base64.b64encode(f"api:{self.key}".encode()).decode()
        headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        request = urllib.request.Request(f"{self.url}/graphql", body, headers)
        try:
            with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:
                told = json.loads(answer.read())
        except urllib.error.HTTPError as error:
            if error.code in _DENIED:
                raise Refused(
                    f"{self.url} does not take the API key; check WANDB_API_KEY or type `wandb login`"
                ) from None
            raise OSError(f"{self.url} answers {error.code}") from None
        except ValueError as error:
            raise OSError(f"{self.url} does not answer as W&B does: {error}") from error
        found = section(told, "data") if isinstance(told, dict) else {}
        if not found:
            raise OSError(f"{self.url} does not answer as W&B does")
        model = section(found, "model")
        rows = section(model, "bucket").get("historyLineCount")
        name = section(model, "entity").get("name") or section(found, "viewer").get("entity") or identity.entity
        return Held(rows if isinstance(rows, int) else 0, str(name))

    def page(self, identity: Identity, entity: str) -> str:
        """Return the address at which people look at a run."""
        site = self.url.replace("://api.", "://", 1)
        return "/".join([site, *(quote(part, safe="") for part in (entity, identity.project, "runs", identity.id))])


def _logged_in_at(environ: Mapping[str, str], home: Path) -> str:
    """Return the server that `wandb login --host` chose."""
    folder = Path(environ.get("WANDB_CONFIG_DIR") or home / ".config" / "wandb")
    parser = configparser.ConfigParser()
    try:
        parser.read(folder / "settings")
    except (configparser.Error, UnicodeDecodeError):
        return ""
    return parser.get("default", "base_url", fallback="")


def _of_netrc(environ: Mapping[str, str], home: Path, host: str) -> str:
    """Return the key that `wandb login` wrote."""
    for path in (environ.get("NETRC"), home / ".netrc", home / "_netrc"):
        try:
            found = netrc.netrc(str(path)).authenticators(host) if path else None
        except (OSError, netrc.NetrcParseError):
            continue
        if found:
            return found[2] or ""
    return ""
