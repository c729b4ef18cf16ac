"""Air quality of one locality: what can be asked of it, and what it does by the clock."""

from __future__ import annotations

from lienthong.environment import v1
from mesh import Clock, Config, Emit, Store, every, rpc
from services.environment import closing, lists
from services.environment.documents import Station
from services.environment.intake import Intake
from services.environment.messages import now_ms, station_document, station_message
from services.environment.settings import EnvironmentSettings


class EnvironmentService:
    """Stations, readings, hours and alerts of one locality."""

    name = "environment"
    store = Store()
    emit = Emit()
    clock = Clock()
    settings = Config(EnvironmentSettings)

    @rpc
    def register_station(self, request: v1.RegisterStationRequest) -> v1.RegisterStationResponse:
        """Creates a station, or replaces what is known of it."""
        self.store.get(Station, request.station.id)
        self.store.put(station_document(request.station))
        return v1.RegisterStationResponse(station=request.station)

    @rpc
    def get_station(self, request: v1.GetStationRequest) -> v1.GetStationResponse:
        """Returns one station."""
        station = self.store.require(Station, request.station_id, "station")
        return v1.GetStationResponse(station=station_message(station))

    @rpc
    def list_stations(self, request: v1.ListStationsRequest) -> v1.ListStationsResponse:
        """Lists stations by id."""
        return lists.list_stations(self.store, request)

    @rpc
    def record_readings(self, request: v1.RecordReadingsRequest) -> v1.RecordReadingsResponse:
        """Records a batch of readings."""
        return v1.RecordReadingsResponse(outcome=self._intake().record(request.readings))

    @rpc(each_message=True)
    def stream_readings(self, request: v1.StreamReadingsRequest) -> v1.StreamReadingsResponse:
        """Records one batch of a stream."""
        outcome = self._intake().record(request.readings)
        return v1.StreamReadingsResponse(request_id=request.request_id, outcome=outcome)

    @rpc
    def list_hourly_air_quality(self, request: v1.ListHourlyAirQualityRequest) -> v1.ListHourlyAirQualityResponse:
        """Lists closed hours of one station."""
        return lists.list_hours(self.store, request)

    @rpc
    def list_daily_air_quality(self, request: v1.ListDailyAirQualityRequest) -> v1.ListDailyAirQualityResponse:
        """Lists days of one station."""
        return lists.list_days(self.store, request)

    @rpc
    def close_hours(self, request: v1.CloseHoursRequest) -> v1.CloseHoursResponse:
        """Closes open hours as if their time had passed."""
        closed, remaining = closing.close_open(self.store, self.emit, self.settings, request.limit)
        return v1.CloseHoursResponse(closed=closed, remaining=remaining)

    @every(seconds=30)
    def close_due_hours(self) -> bool:
        """Closes hours and lifts silent alerts whose time has come; true when there may be more."""
        return closing.close_due(self.store, self.emit, self.settings, now_ms(self.clock.now()))

    def _intake(self) -> Intake:
        return Intake(self.store, self.emit, self.settings, now_ms(self.clock.now()))
