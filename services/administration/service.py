"""Public service of one locality: what can be asked of it, and which events it follows."""

from __future__ import annotations

from datetime import date

from lienthong.administration import v1
from lienthong.administration.v1 import CaseFiled, CaseMoved
from mesh import PEERS, Client, Clock, Config, Emit, Here, Store, rpc, subscribe
from mesh.events import Event
from services.administration import case_lists, cases_of_peers, statistics
from services.administration.case_messages import case_message, case_with_applicant
from services.administration.cases import Cases
from services.administration.settings import AdministrationSettings
from services.administration.times import local_day, now_ms


class AdministrationService:
    """Cases, permits, field reports and notices of one locality."""

    name = "administration"
    store = Store()
    emit = Emit()
    clock = Clock()
    here = Here()
    settings = Config(AdministrationSettings)
    transport = Client("transport")

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

    def _cases(self) -> Cases:
        tolerance_ms = int(self.settings.clock_tolerance_s * 1000)
        return Cases(self.store, self.emit, self.here, self._now_ms(), tolerance_ms)

    def _now_ms(self) -> int:
        return now_ms(self.clock.now())

    def _today(self) -> date:
        return local_day(self._now_ms())
