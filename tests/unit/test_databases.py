"""Connection strings of MongoDB: as whom they connect, and as whom else they could."""

from __future__ import annotations

import pytest

from mesh.databases import names_a_user
from mesh.stack.database_users import as_user

OPEN = "mongodb://127.0.0.1:1/?replicaSet=x"


@pytest.mark.parametrize(
    ("uri", "names"),
    [
        (OPEN, False),
        ("mongodb://root:secret@127.0.0.1:1/?replicaSet=x", True),
        ("mongodb://root@a:1,b:2,c:3/", True),
        ("mongodb://a:1,b:2,c:3/", False),
        ("mongodb+srv://city:secret@cluster.example/", True),
        ("mongodb://a/?authMechanism=MONGODB-X509&tls=true", True),
    ],
)
def test_a_uri_with_a_user_stands_for_all_services(uri: str, names: bool) -> None:
    assert names_a_user(uri) is names


def test_a_uri_can_be_had_for_another_user() -> None:
    reader = as_user("mongodb://root:secret@127.0.0.1:1/?replicaSet=x", "reader", "looking")

    assert reader == "mongodb://reader:looking@127.0.0.1:1/?replicaSet=x"
    assert as_user(reader) == OPEN
