"""Names of runs: `{date}_{model}_{dataset}_{key hyperparameters}_{4 random}`; the last part alone names it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from random import Random

# No vowels, so that no word appears by accident; no 0/o, 1/l/i, which people misread. 27**4 = 531,441.
ALPHABET = "bcdfghjkmnpqrstvwxyz2345679"
TOKEN_LENGTH = 4
_MAX_NAME = 120


def run_token(random: Random) -> str:
    """Return the random last part of a run's name."""
    return "".join(random.choice(ALPHABET) for _ in range(TOKEN_LENGTH))


def run_id(name: str) -> str:
    """Return the last part of a run's name, which is enough on the command line.

    >>> run_id("20261121_smollm2-135m_lr1e-4_k7f2")
    'k7f2'
    """
    return name.rsplit("_", 1)[-1]


def slug(text: str) -> str:
    """Return text in lower case, fit for a file name.

    >>> slug("HuggingFaceTB/SmolLM2 135M"), slug("1e-05")
    ('huggingfacetb-smollm2-135m', '1e-05')
    """
    return re.sub(r"[^a-z0-9.]+", "-", text.lower()).strip("-.")


def run_name(date: str, parts: Iterable[str], token: str) -> str:
    """Join the parts of a run's name, leaving out the empty ones.

    >>> run_name("20261121", ["SmolLM2-135M", "", "lr1e-4"], "k7f2")
    '20261121_smollm2-135m_lr1e-4_k7f2'
    """
    middle = [slugged for part in parts if (slugged := slug(part))]
    body = "_".join([date, *middle])[: _MAX_NAME - TOKEN_LENGTH - 1].rstrip("_-.")
    return f"{body}_{token}"
