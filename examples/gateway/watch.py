"""Prints flood alarms as they come, and goes on where it stopped, also after it was killed.

export LIENTHONG_TOKEN=$(lienthong token --subject watcher --scope events.read --scope environment.read)
python examples/gateway/watch.py https://127.0.0.1:8443 --ca .lienthong/credentials/ca.pem --cursor watch.cursor
"""

import argparse
import os
from pathlib import Path

from lienthong.client import Client
from lienthong.environment.v1 import FloodAlarmLifted, FloodAlarmRaised


def watch(address: str, ca: Path | None, cursor: Path) -> None:
    """Prints first, then keeps the cursor: an alarm may be printed twice after a crash, but none is missed."""
    after = cursor.read_text() if cursor.exists() else ""
    with Client(address, token=os.environ["LIENTHONG_TOKEN"], ca=ca) as gateway:
        for delivery in gateway.subscribe(FloodAlarmRaised, FloodAlarmLifted, after=after):
            what = "raised" if isinstance(delivery.event, FloodAlarmRaised) else "lifted"
            print(f"{delivery.time:%H:%M:%S} {delivery.origin} {delivery.key} {what}", flush=True)
            fresh = cursor.with_suffix(".new")
            fresh.write_text(delivery.cursor)
            fresh.replace(cursor)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Print flood alarms as they come.")
    parser.add_argument("address", help="the gateway, as https://127.0.0.1:8443")
    parser.add_argument("--ca", type=Path, help="PEM file of the authority to trust")
    parser.add_argument("--cursor", type=Path, default=Path("watch.cursor"), help="where to keep the place")
    asked = parser.parse_args()
    watch(asked.address, asked.ca, asked.cursor)
