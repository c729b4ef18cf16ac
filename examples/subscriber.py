"""Hears alerts: `lienthong serve examples.subscriber:Neighbour --locality hue`."""

from mongoengine import IntField, StringField

from lienthong.environment.v1 import AirQualityAlertRaised
from mesh import ANY, Document, Store, subscribe


class Heard(Document):
    """Alerts of one locality, which is the id."""

    id, alerts = StringField(primary_key=True), IntField(default=0)


class Neighbour:
    """Counts the alerts of every locality that shares them with this one."""

    name, store = "neighbour", Store()

    @subscribe(AirQualityAlertRaised, origin=ANY)
    def hear(self, alert, event):
        """Runs once for each alert, in one transaction with its place in the line."""
        heard = self.store.get(Heard, event.origin) or Heard(id=event.origin)
        heard.alerts += 1
        self.store.put(heard)
        print(f"alert {heard.alerts} of {event.origin}: {alert.station_id}, index {alert.index}", flush=True)
