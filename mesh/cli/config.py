"""`lienthong config`: every setting, what it means, and the value in force."""

from __future__ import annotations

from dataclasses import asdict

from mesh.cli.options import AsJson
from mesh.cli.output import out, print_json, table
from mesh.config import load
from mesh.settings_table import describe


def config(as_json: AsJson = False) -> None:
    """List every setting with its type, default, value in force and meaning.

    A setting is an environment variable, or a key of the YAML file that LIENTHONG_CONFIG names.

    Example: LIENTHONG_ENVIRONMENT__ALERT_INDEX=50 lienthong config
    """
    settings = describe(load())
    if as_json:
        print_json([asdict(setting) for setting in settings])
        return
    rows = []
    for setting in settings:
        changed = setting.value != setting.default and setting.default != ""
        value = f"[bold]{setting.value}[/bold]" if changed else setting.value or "–"
        rows.append([setting.name, value, setting.type, setting.description])
    out.print(table(["setting", "value", "type", "meaning"], rows))
