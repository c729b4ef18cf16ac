"""What the peers that speak JSON are sent."""

import json


def change_json(id: str, note: str, amount: int = 1) -> bytes:
    """One change."""
    return json.dumps({"id": id, "amount": amount, "note": note}).encode()
