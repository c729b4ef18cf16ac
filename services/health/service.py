"""Public-health advice of one locality: what can be asked of it, and which events it follows."""

from __future__ import annotations

from lienthong.environment.v1 import AirQualityAlertLifted, AirQualityAlertRaised
from lienthong.health.v1 import (
    GetAdvisoryRequest,
    GetAdvisoryResponse,
    ListAdvisoriesRequest,
    ListAdvisoriesResponse,
)
from mesh import ANY, Clock, Emit, Store, rpc, subscribe
from mesh.events import Event
from mesh.pages import given, page_by_id
from mesh.times import now_ms
from services.health.advisory import follow_lifted, follow_raised
from services.health.documents import HealthAdvisory
from services.health.messages import advisory_message, issued, withdrawn


class HealthService:
    """Advice of one locality, for alerts here and in localities that share them."""

    name = "health"
    store = Store()
    emit = Emit()
    clock = Clock()

    @rpc
    def get_advisory(self, request: GetAdvisoryRequest) -> GetAdvisoryResponse:
        """Returns one advisory."""
        advisory = self.store.require(HealthAdvisory, request.advisory_id, "advisory")
        return GetAdvisoryResponse(advisory=advisory_message(advisory))

    @rpc
    def list_advisories(self, request: ListAdvisoriesRequest) -> ListAdvisoriesResponse:
        """Lists advisories by id; the page token is the last one."""
        filters = given(state=request.state, origin=request.origin)
        advisories, token = page_by_id(self.store, HealthAdvisory, request, **filters)
        return ListAdvisoriesResponse(advisories=map(advisory_message, advisories), next_page_token=token)

    @subscribe(AirQualityAlertRaised, origin=ANY)
    def advise_on_air_quality(self, alert: AirQualityAlertRaised, event: Event) -> None:
        """Issues advice when the air is bad."""
        if advisory := follow_raised(self.store, alert, event, self._now_ms()):
            self.emit(issued(advisory))

    @subscribe(AirQualityAlertLifted, origin=ANY)
    def withdraw_advice(self, alert: AirQualityAlertLifted, event: Event) -> None:
        """Withdraws it when the air is good again."""
        if advisory := follow_lifted(self.store, alert, event, self._now_ms()):
            self.emit(withdrawn(advisory))

    def _now_ms(self) -> int:
        return now_ms(self.clock.now())
