"""Lists the stations of a locality with their last closed hour: plain calls, blocking.

export LIENTHONG_TOKEN=$(lienthong token --subject lister --scope environment.read)
python examples/gateway/stations.py https://127.0.0.1:8443 --ca .lienthong/credentials/ca.pem
"""

import argparse
import os
from collections.abc import Iterator
from pathlib import Path

from lienthong.client import Client
from lienthong.environment.v1 import ListHourlyAirQualityRequest, ListStationsRequest, Station
from lienthong.environment.v1.environment_service_pb2_grpc import EnvironmentServiceStub


def stations(environment: EnvironmentServiceStub) -> Iterator[Station]:
    """All of them, page by page."""
    page_token = ""
    while True:
        page = environment.ListStations(ListStationsRequest(page_token=page_token))
        yield from page.stations
        page_token = page.next_page_token
        if not page_token:
            return


def main(address: str, ca: Path | None) -> None:
    """Prints a line per station."""
    with Client(address, token=os.environ["LIENTHONG_TOKEN"], ca=ca) as gateway:
        environment = gateway.stub(EnvironmentServiceStub)
        for station in stations(environment):
            asked = ListHourlyAirQualityRequest(station_id=station.id, page_size=1000)
            hours = environment.ListHourlyAirQuality(asked).hours  # by time
            print(station.id, hours[-1].index if hours else "no hour yet", sep="\t")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="List stations with their last closed hour.")
    parser.add_argument("address", help="the gateway, as https://127.0.0.1:8443")
    parser.add_argument("--ca", type=Path, help="PEM file of the authority to trust")
    asked = parser.parse_args()
    main(asked.address, asked.ca)
