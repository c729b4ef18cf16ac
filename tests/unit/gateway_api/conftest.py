from typing import Any

import pytest

from gateway.api.asyncapi import asyncapi
from gateway.api.contracts import Contracts, installed
from gateway.api.openapi import openapi


@pytest.fixture(scope="session")
def contracts() -> Contracts:
    return installed()


@pytest.fixture(scope="session")
def openapi_document(contracts: Contracts) -> dict[str, Any]:
    return openapi(contracts)


@pytest.fixture(scope="session")
def asyncapi_document(contracts: Contracts) -> dict[str, Any]:
    return asyncapi(contracts)
