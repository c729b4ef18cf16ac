"""Files of congestion: rows in, samples of provinces and cities out.

Columns: observed_at, province_code, congestion (0 to 1), samples (places sampled), coverage (0 to 1). A province code
of before 1 July 2025 stays in its sample, which goes to what the province has become.
"""

from __future__ import annotations

from datetime import UTC
from typing import Final

from google.protobuf.timestamp_pb2 import Timestamp

from lienthong.transport.v1 import Congestion, StreamCongestionRequest
from mesh.cli.rows_file import Kind, Row, Unreadable

COLUMNS: Final = ("observed_at", "province_code", "congestion", "samples", "coverage")


class CongestionRow(Row):
    """Congestion of one province or city in one hour."""

    __slots__ = ()

    def message(self) -> Congestion:
        """The sample. Raises Unreadable."""
        return Congestion(
            province_code=self.cells["province_code"].zfill(2),
            hour=self._hour(),
            congestion=self.required("congestion"),
            samples=self._whole("samples"),
            coverage=self.measured("coverage") or 0.0,
        )

    def _hour(self) -> Timestamp:
        hour = Timestamp()
        hour.FromDatetime(self.timestamp("observed_at").ToDatetime(UTC).replace(minute=0, second=0, microsecond=0))
        return hour

    def _whole(self, column: str) -> int:
        value = self.measured(column) or 0.0
        if not value.is_integer() or not abs(value) < 2**31:
            raise Unreadable(f"{column}: expected a whole number")
        return int(value)


CONGESTION: Final = Kind(
    columns=COLUMNS,
    row=CongestionRow,
    service="lienthong.transport.v1.TransportService",
    stream="StreamCongestion",
    request=lambda request_id, samples: StreamCongestionRequest(request_id=request_id, samples=samples),
)
