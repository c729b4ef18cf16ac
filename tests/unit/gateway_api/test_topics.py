"""What the documents say of topics is what the event gateway does."""

from gateway.api import topics
from gateway.events import wish
from mesh.events import catalogue


def test_the_scopes_that_documents_name_are_those_the_gateway_asks_for() -> None:
    named = {kind.name: (topics.read_scope(d := kind.cls.DESCRIPTOR), topics.personal_scope(d)) for kind in catalogue()}

    assert named == {kind.name: (wish.read_scope(kind), wish.personal_scope(kind)) for kind in catalogue()}
