"""Readings to hours to effects with raw parts of the same sizes: everything in one process, nothing decided.

`insert_many` of each batch, `publish_async` of an event for each hour it closed; on the other side fetch,
`insert_many`, acknowledge. Documents and events are made beforehand.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import nats
from nats.js.api import ConsumerConfig
from pymongo import MongoClient

from bench.city import PER_HOUR, ROWS, STATIONS, City
from bench.processes import Link
from lienthong.environment.v1 import AirQualityHourRecorded, Concentrations, Location
from mesh.events import new_event, to_headers

SUBJECT = "raw.hours"
FETCHED = 256
Document = dict[str, Any]


async def main(link: Link, mongodb: str, nats_url: str, hours: int) -> None:
    """Runs each time it is asked, in collections and a stream of its own."""
    client = await nats.connect(nats_url)
    mongo: MongoClient[Document] = MongoClient(mongodb, w="majority", journal=True)
    city = City(hours)
    batches, event = list(_batches(city)), _event()
    link.say()

    async def run() -> dict[str, float]:
        jetstream = client.jetstream(publish_async_max_pending=512)
        await jetstream.add_stream(name="RAW", subjects=[SUBJECT])
        consumer = await jetstream.pull_subscribe(SUBJECT, "hours", config=ConsumerConfig(max_ack_pending=10_000))
        database = mongo["raw"]
        began = time.perf_counter()
        following = asyncio.create_task(_follow(consumer, database, city.closed_hours))
        done = 0
        for batch in batches:
            await asyncio.to_thread(database["readings"].insert_many, batch, ordered=False)
            done += len(batch)
            # An hour closes when a later reading of its station arrives.
            closed = max(0, (done - 1) // STATIONS // PER_HOUR) * STATIONS
            for _ in range(closed - run.closed):  # type: ignore[attr-defined]
                await jetstream.publish_async(SUBJECT, event[1], wait_stall=20, headers=event[0])
            run.closed = closed  # type: ignore[attr-defined]
        await jetstream.publish_async_completed()
        await following
        seconds = time.perf_counter() - began
        await jetstream.delete_stream("RAW")
        await asyncio.to_thread(mongo.drop_database, "raw")
        run.closed = 0  # type: ignore[attr-defined]
        return {"seconds": seconds}

    run.closed = 0  # type: ignore[attr-defined]
    await link.serve({"run": run})
    await client.close()


async def _follow(consumer: Any, database: Any, wanted: int) -> None:
    done = 0
    while done < wanted:
        try:
            messages = await consumer.fetch(FETCHED, timeout=0.2)
        except nats.errors.TimeoutError:
            continue
        effects = [{"_id": f"{done + i}", "amount": 1, "note": "station-1"} for i in range(len(messages))]
        await asyncio.to_thread(database["consequences"].insert_many, effects, ordered=False)
        for message in messages:
            await message.ack()
        done += len(messages)


def _batches(city: City) -> Iterator[list[Document]]:
    rows = city.rows()
    received = int(datetime.now(UTC).timestamp() * 1000)
    while batch := list(islice(rows, ROWS)):
        yield [_document(row, received) for row in batch]


def _document(row: Any, received_ms: int) -> Document:
    at = row.observed_at.ToDatetime(UTC)
    return {
        "_id": f"{row.station_id}|{at.isoformat(timespec='milliseconds')}",
        "station_id": row.station_id,
        "observed_at_ms": int(at.timestamp() * 1000),
        "received_at_ms": received_ms,
        "measured": {field.name: value for field, value in row.concentrations.ListFields()}
        | {"temperature_c": row.temperature_c, "humidity_percent": row.humidity_percent},
        "flags": "",
        "_rev": 1,
    }


def _event() -> tuple[dict[str, str], bytes]:
    values = {f"{pollutant}_ug_m3": 12.0 for pollutant in ("pm25", "pm10", "no2", "o3", "so2", "co")}
    recorded = AirQualityHourRecorded(
        station_id="station-1",
        revision=1,
        means=Concentrations(**values),
        index=50,
        band=1,
        location=Location(latitude=16.0, longitude=108.2),
        readings_used=6,
    )
    recorded.hour.FromDatetime(datetime(2026, 1, 5, tzinfo=UTC))
    event = new_event(recorded, source="/da-nang/environment", time=datetime.now(UTC))
    return to_headers(event), event.data
