"""Roads of one locality: what can be asked of them, which happenings restrict them, and what the clock lifts."""

from __future__ import annotations

from typing import Any

from lienthong.administration.v1 import FieldReportRouted, PermitCancelled, PermitChanged, PermitGranted
from lienthong.environment.v1 import (
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    FloodAlarmEscalated,
    FloodAlarmLifted,
    FloodAlarmLowered,
    FloodAlarmRaised,
)
from lienthong.transport import v1
from mesh import LOCAL, Client, Clock, Config, Emit, Here, Store, every, rpc, subscribe
from mesh.events import Event
from mesh.times import now_ms, to_ms
from services.transport import causes, lists
from services.transport.by_hand import ByHand, known
from services.transport.congestion import CongestionIntake
from services.transport.documents import Incident, RoadSegment
from services.transport.expiry import lift_over
from services.transport.incidents import Incidents
from services.transport.messages import incident_message, segment_document, segment_message
from services.transport.reports import answer_report, follow_report
from services.transport.restriction_messages import restriction_message
from services.transport.restrictions import Restrictions
from services.transport.segments import check_line, put_segment
from services.transport.settings import TransportSettings


class TransportService:
    """Segments, congestion, incidents and restrictions of one locality."""

    name = "transport"
    store = Store()
    emit = Emit()
    clock = Clock()
    here = Here()
    administration = Client("administration")
    settings = Config(TransportSettings)

    @rpc
    def put_road_segment(self, request: v1.PutRoadSegmentRequest) -> v1.PutRoadSegmentResponse:
        """Creates a segment, or replaces what is known of it."""
        check_line(request.segment.line)
        put_segment(self.store, segment_document(request.segment))
        return v1.PutRoadSegmentResponse(segment=request.segment)

    @rpc
    def get_road_segment(self, request: v1.GetRoadSegmentRequest) -> v1.GetRoadSegmentResponse:
        """Returns one segment."""
        segment = self.store.require(RoadSegment, request.segment_id, "segment")
        return v1.GetRoadSegmentResponse(segment=segment_message(segment))

    @rpc
    def get_road_segments(self, request: v1.GetRoadSegmentsRequest) -> v1.GetRoadSegmentsResponse:
        """Returns those that exist, and the ids of the others."""
        ids = sorted(set(request.segment_ids))
        found = self.store.get_many(RoadSegment, ids)
        missing = [id for id in ids if id not in found]
        return v1.GetRoadSegmentsResponse(segments=map(segment_message, found.values()), missing=missing)

    @rpc
    def list_road_segments(self, request: v1.ListRoadSegmentsRequest) -> v1.ListRoadSegmentsResponse:
        """Lists segments by id."""
        return lists.list_segments(self.store, request)

    @rpc
    def find_road_segments(self, request: v1.FindRoadSegmentsRequest) -> v1.FindRoadSegmentsResponse:
        """Lists segments within a circle."""
        return lists.find_segments(self.store, request)

    @rpc
    def record_congestion(self, request: v1.RecordCongestionRequest) -> v1.RecordCongestionResponse:
        """Records a batch of samples."""
        return v1.RecordCongestionResponse(outcome=self._intake().record(request.samples))

    @rpc(each_message=True)
    def stream_congestion(self, request: v1.StreamCongestionRequest) -> v1.StreamCongestionResponse:
        """Records one batch of a stream."""
        outcome = self._intake().record(request.samples)
        return v1.StreamCongestionResponse(request_id=request.request_id, outcome=outcome)

    @rpc
    def list_congestion(self, request: v1.ListCongestionRequest) -> v1.ListCongestionResponse:
        """Lists samples of one place, oldest first."""
        return lists.list_congestion(self.store, request)

    @rpc
    def report_incident(self, request: v1.ReportIncidentRequest) -> v1.ReportIncidentResponse:
        """Reports an incident."""
        return v1.ReportIncidentResponse(incident=incident_message(self._incidents().report(request)))

    @rpc
    def update_incident(self, request: v1.UpdateIncidentRequest) -> v1.UpdateIncidentResponse:
        """Changes an incident that lasts."""
        return v1.UpdateIncidentResponse(incident=incident_message(self._incidents().update(request)))

    @rpc
    def clear_incident(self, request: v1.ClearIncidentRequest) -> v1.ClearIncidentResponse:
        """Ends an incident."""
        incident = self._incidents().clear(request.incident_id, request.resolution)
        return v1.ClearIncidentResponse(incident=incident_message(incident))

    @rpc
    def get_incident(self, request: v1.GetIncidentRequest) -> v1.GetIncidentResponse:
        """Returns one incident."""
        incident = self.store.require(Incident, request.incident_id, "incident")
        return v1.GetIncidentResponse(incident=incident_message(incident))

    @rpc
    def list_incidents(self, request: v1.ListIncidentsRequest) -> v1.ListIncidentsResponse:
        """Lists incidents by id."""
        return lists.list_incidents(self.store, request)

    @rpc
    def impose_restriction(self, request: v1.ImposeRestrictionRequest) -> v1.ImposeRestrictionResponse:
        """Imposes a restriction by hand."""
        restriction = ByHand(self._restrictions()).impose(request)
        return v1.ImposeRestrictionResponse(restriction=restriction_message(restriction))

    @rpc
    def change_restriction(self, request: v1.ChangeRestrictionRequest) -> v1.ChangeRestrictionResponse:
        """Changes a restriction imposed by hand."""
        restriction = ByHand(self._restrictions()).change(request)
        return v1.ChangeRestrictionResponse(restriction=restriction_message(restriction))

    @rpc
    def lift_restriction(self, request: v1.LiftRestrictionRequest) -> v1.LiftRestrictionResponse:
        """Lifts a restriction imposed by hand."""
        restriction = ByHand(self._restrictions()).lift(request)
        return v1.LiftRestrictionResponse(restriction=restriction_message(restriction))

    @rpc
    def get_restriction(self, request: v1.GetRestrictionRequest) -> v1.GetRestrictionResponse:
        """Returns one restriction."""
        restriction = known(self.store, request.restriction_id)
        return v1.GetRestrictionResponse(restriction=restriction_message(restriction))

    @rpc
    def list_restrictions(self, request: v1.ListRestrictionsRequest) -> v1.ListRestrictionsResponse:
        """Lists restrictions by id."""
        return lists.list_restrictions(self.store, request)

    @subscribe(FloodAlarmRaised, origin=LOCAL)
    def restrict_flooded_roads(self, alarm: FloodAlarmRaised, event: Event) -> None:
        """Warns or closes when the water is high."""
        self._restrictions().follow(event, causes.flood(alarm, to_ms(alarm.raised_at)))

    @subscribe(FloodAlarmEscalated, origin=LOCAL)
    def restrict_flooded_roads_more(self, alarm: FloodAlarmEscalated, event: Event) -> None:
        """Closes when it is higher."""
        self._restrictions().follow(event, causes.flood(alarm, to_ms(alarm.escalated_at)))

    @subscribe(FloodAlarmLowered, origin=LOCAL)
    def restrict_flooded_roads_less(self, alarm: FloodAlarmLowered, event: Event) -> None:
        """Only warns when it is lower."""
        self._restrictions().follow(event, causes.flood(alarm, to_ms(alarm.lowered_at)))

    @subscribe(FloodAlarmLifted, origin=LOCAL)
    def free_flooded_roads(self, alarm: FloodAlarmLifted, event: Event) -> None:
        """Opens roads when the alarm ends."""
        self._restrictions().follow(event, None)

    @subscribe(AirQualityAlertRaised, origin=LOCAL)
    def restrict_heavy_vehicles(self, alert: AirQualityAlertRaised, event: Event) -> None:
        """Keeps heavy vehicles out while the air is bad."""
        self._restrictions().follow(event, causes.bad_air(alert, self.settings.air_reach_m))

    @subscribe(AirQualityAlertLifted, origin=LOCAL)
    def free_heavy_vehicles(self, alert: AirQualityAlertLifted, event: Event) -> None:
        """Lets them in again."""
        self._restrictions().follow(event, None)

    @subscribe(PermitGranted, origin=LOCAL)
    def restrict_for_road_works(self, permit: PermitGranted, event: Event) -> None:
        """Restricts the segments of road works for their time."""
        self._follow_permit(permit, event, holds=True)

    @subscribe(PermitChanged, origin=LOCAL)
    def restrict_for_changed_road_works(self, permit: PermitChanged, event: Event) -> None:
        """Restricts other segments, or for another time."""
        self._follow_permit(permit, event, holds=True)

    @subscribe(PermitCancelled, origin=LOCAL)
    def free_cancelled_road_works(self, permit: PermitCancelled, event: Event) -> None:
        """Frees the segments of cancelled road works."""
        self._follow_permit(permit, event, holds=False)

    @subscribe(v1.IncidentReported, origin=LOCAL)
    def restrict_for_incident(self, incident: v1.IncidentReported, event: Event) -> None:
        """Restricts the segments of an incident that affects traffic."""
        self._restrictions().follow(event, causes.incident(incident, to_ms(incident.reported_at)))

    @subscribe(v1.IncidentChanged, origin=LOCAL)
    def restrict_for_changed_incident(self, incident: v1.IncidentChanged, event: Event) -> None:
        """Lets the restriction be what the incident now calls for."""
        self._restrictions().follow(event, causes.incident(incident, to_ms(incident.changed_at)))

    @subscribe(v1.IncidentCleared, origin=LOCAL)
    def free_cleared_incident(self, cleared: v1.IncidentCleared, event: Event) -> None:
        """Frees its segments and answers the field report it followed."""
        self._restrictions().follow(event, None)
        if cleared.field_report_id:
            answer_report(self.store, self.administration, cleared)

    @subscribe(FieldReportRouted, origin=LOCAL)
    def follow_field_report(self, routed: FieldReportRouted, event: Event) -> None:
        """Makes an incident of a field report that is ours."""
        follow_report(self._incidents(), routed, event)

    @every(seconds=30)
    def lift_over_restrictions(self) -> bool:
        """Lifts restrictions whose time is over; true when there may be more."""
        return lift_over(self._restrictions())

    def _follow_permit(self, permit: Any, event: Event, *, holds: bool) -> None:
        if causes.is_road_works(permit.kind):
            self._restrictions().follow(event, causes.road_works(permit) if holds else None)

    def _restrictions(self) -> Restrictions:
        return Restrictions(self.store, self.emit, now_ms(self.clock.now()))

    def _incidents(self) -> Incidents:
        return Incidents(self.store, self.emit, now_ms(self.clock.now()))

    def _intake(self) -> CongestionIntake:
        return CongestionIntake(self.store, self.settings, self.here, now_ms(self.clock.now()))
