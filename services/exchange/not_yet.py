"""What this version of the exchange cannot do."""

from typing import Final

NOT_YET: Final = (
    "personal data cannot be shared yet: it has to be encrypted for the recipient, which this version cannot do"
)
