"""What keeps hostile files harmless, whatever their format."""

from __future__ import annotations

from typing import Final

MAX_BYTES: Final = 16 << 20
MAX_DEPTH: Final = 100
MAX_NODES: Final = 200_000
"""Values, after aliases and references are followed; the largest real recipe seen has about 700."""
MAX_DIGITS: Final = 1000
"""int() and str() refuse more than some 4,300; no setting needs them."""
