"""Public service of one locality: what can be asked of it, and which events it follows."""

from __future__ import annotations

from datetime import date

from lienthong.administration import v1
from lienthong.administration.v1 import CaseFiled, CaseMoved
from lienthong.environment.v1 import (
    AirQualityAlertLifted,
    AirQualityAlertRaised,
    FloodAlarmEscalated,
    FloodAlarmLifted,
    FloodAlarmLowered,
    FloodAlarmRaised,
)
from mesh import ANY, LOCAL, PEERS, Client, Clock, Config, Emit, Here, Store, rpc, subscribe
from mesh.events import Event
from mesh.times import now_ms
from services.administration import (
    case_lists,
    cases_of_peers,
    field_report_lists,
    notice_lists,
    permit_lists,
    statistics,
)
from services.administration.case_messages import case_message, case_with_applicant
from services.administration.cases import Cases
from services.administration.documents_permits import Permit
from services.administration.documents_reports import FieldReport
from services.administration.field_report_messages import field_report_message, field_report_with_citizen
from services.administration.field_reports import FieldReports
from services.administration.notice_causes import Telling, told_of_air, told_of_flood
from services.administration.notice_messages import notice_message
from services.administration.notices import Notices
from services.administration.permit_messages import permit_message, permit_with_applicant
from services.administration.permits import Permits
from services.administration.settings import AdministrationSettings
from services.administration.times import local_day


class AdministrationService:
    """Cases, permits, field reports and notices of one locality."""

    name = "administration"
    store = Store()
    emit = Emit()
    clock = Clock()
    here = Here()
    settings = Config(AdministrationSettings)
    transport = Client("transport")

    # --- cases -----------------------------------------------------------------------------------------------

    @rpc
    def file_case(self, request: v1.FileCaseRequest) -> v1.FileCaseResponse:
        """Files a case for an agency here or elsewhere."""
        return v1.FileCaseResponse(case=case_message(self._cases().file(request), self._today()))

    @rpc
    def move_case(self, request: v1.MoveCaseRequest) -> v1.MoveCaseResponse:
        """Moves a case that is decided here."""
        case = self._cases().move(request.case_id, request.to_state)
        return v1.MoveCaseResponse(case=case_message(case, self._today()))

    @rpc
    def get_case(self, request: v1.GetCaseRequest) -> v1.GetCaseResponse:
        """Returns one case."""
        case = case_lists.asked_case(self.store, request)
        return v1.GetCaseResponse(case=case_with_applicant(case, self._today()))

    @rpc
    def list_cases(self, request: v1.ListCasesRequest) -> v1.ListCasesResponse:
        """Lists cases by code."""
        return case_lists.list_cases(self.store, request, self._today())

    @rpc
    def list_agency_statistics(self, request: v1.ListAgencyStatisticsRequest) -> v1.ListAgencyStatisticsResponse:
        """Lists how agencies met their deadlines."""
        return statistics.list_agency_statistics(self.store, request, self._today())

    @subscribe(CaseFiled, origin=PEERS)
    def open_case_of_peer(self, filed: CaseFiled, event: Event) -> None:
        """Opens a case that was filed elsewhere to be decided here."""
        cases_of_peers.open_case(self.store, filed, event, self.here)

    @subscribe(CaseMoved, origin=PEERS)
    def follow_case_of_peer(self, moved: CaseMoved, event: Event) -> None:
        """Lets a case that was filed here follow its moves where it is decided."""
        cases_of_peers.follow_case(self.store, moved, event, self.here)

    # --- permits ---------------------------------------------------------------------------------------------

    @rpc
    def apply_for_permit(self, request: v1.ApplyForPermitRequest) -> v1.ApplyForPermitResponse:
        """Keeps an application."""
        return v1.ApplyForPermitResponse(permit=permit_message(self._permits().apply(request), self._now_ms()))

    @rpc
    def grant_permit(self, request: v1.GrantPermitRequest) -> v1.GrantPermitResponse:
        """Grants an application, once transport knows the segments of its road works."""
        permit = self._permits().grant(request.permit_id)
        return v1.GrantPermitResponse(permit=permit_message(permit, self._now_ms()))

    @rpc
    def change_permit(self, request: v1.ChangePermitRequest) -> v1.ChangePermitResponse:
        """Gives a granted permit other times or segments."""
        return v1.ChangePermitResponse(permit=permit_message(self._permits().change(request), self._now_ms()))

    @rpc
    def cancel_permit(self, request: v1.CancelPermitRequest) -> v1.CancelPermitResponse:
        """Cancels a permit, or withdraws an application."""
        permit = self._permits().cancel(request.permit_id)
        return v1.CancelPermitResponse(permit=permit_message(permit, self._now_ms()))

    @rpc
    def get_permit(self, request: v1.GetPermitRequest) -> v1.GetPermitResponse:
        """Returns one permit."""
        permit = self.store.require(Permit, request.permit_id, "permit")
        return v1.GetPermitResponse(permit=permit_with_applicant(permit, self._now_ms()))

    @rpc
    def list_permits(self, request: v1.ListPermitsRequest) -> v1.ListPermitsResponse:
        """Lists permits by id."""
        return permit_lists.list_permits(self.store, request, self._now_ms())

    # --- field reports ---------------------------------------------------------------------------------------

    @rpc
    def file_field_report(self, request: v1.FileFieldReportRequest) -> v1.FileFieldReportResponse:
        """Keeps a field report with the sector that owns its category."""
        return v1.FileFieldReportResponse(report=field_report_message(self._field_reports().file(request)))

    @rpc
    def reroute_field_report(self, request: v1.RerouteFieldReportRequest) -> v1.RerouteFieldReportResponse:
        """Hands a field report to another sector."""
        report = self._field_reports().reroute(request.report_id, request.sector)
        return v1.RerouteFieldReportResponse(report=field_report_message(report))

    @rpc
    def answer_field_report(self, request: v1.AnswerFieldReportRequest) -> v1.AnswerFieldReportResponse:
        """Closes a field report with the answer of the sector it is with."""
        report = self._field_reports().answer(request.report_id, request.sector, request.answer)
        return v1.AnswerFieldReportResponse(report=field_report_message(report))

    @rpc
    def get_field_report(self, request: v1.GetFieldReportRequest) -> v1.GetFieldReportResponse:
        """Returns one field report."""
        report = self.store.require(FieldReport, request.report_id, "field report")
        return v1.GetFieldReportResponse(report=field_report_with_citizen(report))

    @rpc
    def list_field_reports(self, request: v1.ListFieldReportsRequest) -> v1.ListFieldReportsResponse:
        """Lists field reports by id."""
        return field_report_lists.list_field_reports(self.store, request)

    # --- notices ---------------------------------------------------------------------------------------------

    @rpc
    def get_notice(self, request: v1.GetNoticeRequest) -> v1.GetNoticeResponse:
        """Returns one notice."""
        return v1.GetNoticeResponse(notice=notice_message(notice_lists.get_notice(self.store, request.notice_id)))

    @rpc
    def list_notices(self, request: v1.ListNoticesRequest) -> v1.ListNoticesResponse:
        """Lists notices by id."""
        return notice_lists.list_notices(self.store, request)

    @subscribe(FloodAlarmRaised, origin=ANY)
    def tell_of_flood(self, alarm: FloodAlarmRaised, event: Event) -> None:
        """Publishes a notice of a flood here, or where its alarms are shared with us."""
        self._tell(event, told_of_flood(alarm, event.origin, self.here))

    @subscribe(FloodAlarmEscalated, origin=ANY)
    def tell_of_higher_flood(self, alarm: FloodAlarmEscalated, event: Event) -> None:
        """Updates it."""
        self._tell(event, told_of_flood(alarm, event.origin, self.here))

    @subscribe(FloodAlarmLowered, origin=ANY)
    def tell_of_lower_flood(self, alarm: FloodAlarmLowered, event: Event) -> None:
        """Updates it."""
        self._tell(event, told_of_flood(alarm, event.origin, self.here))

    @subscribe(FloodAlarmLifted, origin=ANY)
    def withdraw_notice_of_flood(self, alarm: FloodAlarmLifted, event: Event) -> None:
        """Withdraws it."""
        self._tell(event, None)

    @subscribe(AirQualityAlertRaised, origin=LOCAL)
    def tell_of_bad_air(self, alert: AirQualityAlertRaised, event: Event) -> None:
        """Publishes or updates a notice of bad air here."""
        self._tell(event, told_of_air(alert, event.origin))

    @subscribe(AirQualityAlertLifted, origin=LOCAL)
    def withdraw_notice_of_bad_air(self, alert: AirQualityAlertLifted, event: Event) -> None:
        """Withdraws it."""
        self._tell(event, None)

    # ---------------------------------------------------------------------------------------------------------

    def _tell(self, event: Event, telling: Telling | None) -> None:
        if said := Notices(self.store, self._now_ms()).follow(event, telling):
            self.emit(said)

    def _permits(self) -> Permits:
        return Permits(self.store, self.emit, self.transport, self._now_ms())

    def _field_reports(self) -> FieldReports:
        return FieldReports(self.store, self.emit, self._now_ms())

    def _cases(self) -> Cases:
        tolerance_ms = int(self.settings.clock_tolerance_s * 1000)
        return Cases(self.store, self.emit, self.here, self._now_ms(), tolerance_ms)

    def _now_ms(self) -> int:
        return now_ms(self.clock.now())

    def _today(self) -> date:
        return local_day(self._now_ms())
