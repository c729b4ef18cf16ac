"""Calls and subscribes through the gateway of a locality, with nothing but its address and a token.

from lienthong.client import AsyncClient
from lienthong.environment.v1 import AirQualityAlertRaised

async with AsyncClient("https://da-nang.example:8443", token=token) as da_nang:
    async for delivery in da_nang.subscribe(AirQualityAlertRaised, origin="da-nang"):
        print(delivery.event.station_id, delivery.cursor)
"""

from lienthong.client.connection import AsyncClient, Client
from lienthong.client.delivery import Delivery

__all__ = ["AsyncClient", "Client", "Delivery"]
