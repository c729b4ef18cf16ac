"""Air and water of one locality: what can be asked of it, what it does by the clock, and which events it follows."""

from __future__ import annotations

from lienthong.environment import v1
from lienthong.transport.v1 import RoadRestrictionChanged, RoadRestrictionImposed, RoadRestrictionLifted
from mesh import ALL, LOCAL, Clock, Config, Emit, Here, Store, every, rpc, subscribe
from mesh.events import Event
from mesh.times import now_ms
from services.environment import closing, dust_lists, lists, water_lists
from services.environment.documents import Station
from services.environment.documents_water import WaterStation
from services.environment.dust_watch import end_road_works, watch_road_works
from services.environment.flood_watch import lift_alarm
from services.environment.intake import Intake
from services.environment.messages import station_message
from services.environment.registering import register_station
from services.environment.settings import EnvironmentSettings
from services.environment.stages import StageIntake
from services.environment.water_messages import alarm_message, water_station_message
from services.environment.water_stations import register_water_station, seed_water_stations


class EnvironmentService:
    """Stations, what they measure of air and water, and alerts of one locality."""

    name = "environment"
    store = Store()
    emit = Emit()
    clock = Clock()
    here = Here()
    settings = Config(EnvironmentSettings)

    @rpc
    def register_station(self, request: v1.RegisterStationRequest) -> v1.RegisterStationResponse:
        """Creates a station, or replaces what is known of it."""
        register_station(self.store, self.settings, request.station)
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

    @rpc
    def list_dust_watches(self, request: v1.ListDustWatchesRequest) -> v1.ListDustWatchesResponse:
        """Lists road works and the stations they tighten."""
        return dust_lists.list_dust_watches(self.store, request)

    @subscribe(RoadRestrictionImposed, origin=LOCAL, start=ALL)
    def tighten_near_road_works(self, works: RoadRestrictionImposed, event: Event) -> None:
        """Tightens alert levels near road works that begin."""
        watch_road_works(self.store, self.settings, works, event)

    @subscribe(RoadRestrictionChanged, origin=LOCAL, start=ALL)
    def follow_road_works(self, works: RoadRestrictionChanged, event: Event) -> None:
        """Follows road works that move or last longer."""
        watch_road_works(self.store, self.settings, works, event)

    @subscribe(RoadRestrictionLifted, origin=LOCAL, start=ALL)
    def relax_after_road_works(self, works: RoadRestrictionLifted, event: Event) -> None:
        """Goes back to the usual level."""
        end_road_works(self.store, works, event)

    @rpc
    def register_water_station(self, request: v1.RegisterWaterStationRequest) -> v1.RegisterWaterStationResponse:
        """Creates a water station, or replaces what is known of it."""
        station = register_water_station(self.store, self.settings, request.station)
        return v1.RegisterWaterStationResponse(station=water_station_message(station))

    @rpc
    def get_water_station(self, request: v1.GetWaterStationRequest) -> v1.GetWaterStationResponse:
        """Returns one water station."""
        station = self.store.require(WaterStation, request.station_id, "water station")
        return v1.GetWaterStationResponse(station=water_station_message(station))

    @rpc
    def list_water_stations(self, request: v1.ListWaterStationsRequest) -> v1.ListWaterStationsResponse:
        """Lists water stations by id."""
        return water_lists.list_water_stations(self.store, request)

    @rpc
    def record_stages(self, request: v1.RecordStagesRequest) -> v1.RecordStagesResponse:
        """Records a batch of stages."""
        return v1.RecordStagesResponse(outcome=self._stages().record(request.stages))

    @rpc(each_message=True)
    def stream_stages(self, request: v1.StreamStagesRequest) -> v1.StreamStagesResponse:
        """Records one batch of a stream."""
        outcome = self._stages().record(request.stages)
        return v1.StreamStagesResponse(request_id=request.request_id, outcome=outcome)

    @rpc
    def list_stages(self, request: v1.ListStagesRequest) -> v1.ListStagesResponse:
        """Lists stages of one station."""
        return water_lists.list_stages(self.store, request)

    @rpc
    def list_flood_alarms(self, request: v1.ListFloodAlarmsRequest) -> v1.ListFloodAlarmsResponse:
        """Lists flood alarms by station."""
        return water_lists.list_flood_alarms(self.store, request)

    @rpc
    def lift_flood_alarm(self, request: v1.LiftFloodAlarmRequest) -> v1.LiftFloodAlarmResponse:
        """Lifts the alarm of a station that no longer reports."""
        watch = lift_alarm(self.store, self.emit, request.station_id, now_ms(self.clock.now()))
        return v1.LiftFloodAlarmResponse(alarm=alarm_message(watch))

    @every(seconds=3600)
    def register_known_water_stations(self) -> None:
        """Registers the locality's stations of the decision on alarm levels, where nobody has."""
        seed_water_stations(self.store, self.settings, self.here)

    def _intake(self) -> Intake:
        return Intake(self.store, self.emit, self.settings, now_ms(self.clock.now()))

    def _stages(self) -> StageIntake:
        return StageIntake(self.store, self.emit, self.settings, now_ms(self.clock.now()))
