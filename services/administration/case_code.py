"""Codes of cases, for people: `H15.50.05.13-261008-0975` is the agency that received it, the day, and a number."""

from __future__ import annotations

from mesh.store import Documents
from services.administration.documents import CaseNumber
from services.administration.times import local_day


def next_case_code(store: Documents, received_by: str, filed_at_ms: int) -> str:
    """The next code of an agency for the day of filing: four digits, as provincial portals give, and more beyond 9999.

    It begins with an agency of the locality of filing, so no two localities give the same.
    """
    day = f"{local_day(filed_at_ms):%y%m%d}"
    id = f"{received_by}|{day}"
    number = store.get(CaseNumber, id) or CaseNumber(id=id, last=0)
    number.last += 1
    store.put(number)
    return f"{received_by}-{day}-{number.last:04}"
