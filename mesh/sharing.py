"""What two localities' brokers must agree on to share a stream: its names, and how the recipient sources it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from nats.js import JetStreamContext
from nats.js.api import (
    DiscardPolicy,
    ExternalStream,
    RetentionPolicy,
    StorageType,
    StreamConfig,
    StreamInfo,
    StreamSource,
    StreamSourceInfo,
)
from nats.js.errors import NotFoundError

from mesh.config import RuntimeSettings

SOURCE_HEADER: Final = "Nats-Stream-Source"

_SILENT_AFTER_NS: Final = 3_000_000_000


def share_stream(provider: str, recipient: str) -> str:
    """Returns the stream at the provider that holds what the recipient may know: `SHARED_DA_NANG_TO_HUE`."""
    return f"SHARED_{_name(provider)}_TO_{_name(recipient)}"


def received_stream(recipient: str) -> str:
    """Returns the stream at the recipient that sources all its providers: `RECEIVED_HUE`."""
    return f"RECEIVED_{_name(recipient)}"


def shared_filter(provider: str, recipient: str, agreement: str | None = None) -> str:
    """Returns the filter for all that is shared with the recipient, or shared by one agreement."""
    return ".".join(filter(None, ["shared", provider, recipient, agreement, ">"]))


def api_prefix(provider: str) -> str:
    """Returns the JetStream API of the provider's domain, as seen from elsewhere."""
    return f"$JS.{provider}.API"


def deliver_prefix(provider: str, recipient: str) -> str:
    """Returns the subject under which a share stream's messages travel to the recipient."""
    return f"deliver.{recipient}.{share_stream(provider, recipient)}"


def source_of(provider: str, recipient: str) -> StreamSource:
    """Returns the source the recipient's stream needs for one provider.

    The filter is applied at the provider, so it saves traffic and proves nothing: see `provider_of`.
    """
    return StreamSource(
        name=share_stream(provider, recipient),
        filter_subject=shared_filter(provider, recipient),
        external=ExternalStream(api=api_prefix(provider), deliver=deliver_prefix(provider, recipient)),
    )


def provider_of(headers: Mapping[str, str] | None, recipient: str, providers: Iterable[str]) -> str | None:
    """Returns which of the providers a message in RECEIVED came from; None when it came from none of them.

    Told from the header with which the recipient's own server says what it sourced. The subject is no proof: the
    provider's side chooses it.
    """
    stream, _, _ = (headers or {}).get(SOURCE_HEADER, "").partition(" ")
    origin, _, _ = stream.partition(":")
    return next((provider for provider in providers if share_stream(provider, recipient) == origin), None)


async def declare_received(
    jetstream: JetStreamContext,
    recipient: str,
    providers: Iterable[str],
    first_sequence: int = 1,
    *,
    limits: RuntimeSettings | None = None,
) -> StreamInfo:
    """Creates or updates the recipient's stream so that it sources exactly the given providers.

    It keeps what `limits` say every stream of the node keeps, by default what the settings say unless they are set.

    A new stream begins at `first_sequence`: one that was lost sources everything again, which must lie behind the
    marks of its readers.
    A source that is no longer asked for ends here, at the recipient, too: the hub's permissions stop it as well, but
    only a changed declaration ends a source that a stream had before a restart.
    """
    limits = limits or RuntimeSettings()
    config = _received_config(
        recipient,
        [source_of(provider, recipient) for provider in sorted(set(providers))],
        max_age_s=limits.stream_max_age_days * 86400.0,
        max_bytes=limits.stream_max_bytes,
    )
    try:
        await jetstream.stream_info(received_stream(recipient))
    except NotFoundError:
        return await jetstream.add_stream(config, first_seq=first_sequence)
    return await jetstream.update_stream(config)


async def revive_sources(jetstream: JetStreamContext, recipient: str) -> list[str]:
    """Asks anew for every source that has been silent, and returns their share streams; call it every second.

    The server itself tries a source it was refused (provider down, link not up, agreement not yet applied at the hub)
    again only after 10 to 40 s. One that is declared anew is tried at once, and goes on after the last message it
    brought: measured, 1 s instead.
    """
    info = await jetstream.stream_info(received_stream(recipient))
    silent = {source.name for source in info.sources or [] if _is_silent(source)}
    if silent:
        sources = info.config.sources or []
        for asked in ([source for source in sources if source.name not in silent], sources):
            await jetstream.update_stream(
                _received_config(recipient, asked, max_age_s=info.config.max_age, max_bytes=info.config.max_bytes)
            )
    return sorted(silent)


def _is_silent(source: StreamSourceInfo) -> bool:
    """Tells whether not even a heartbeat, which a source sends every second, came for a while or ever."""
    return source.active is None or source.active < 0 or source.active > _SILENT_AFTER_NS


def _received_config(
    recipient: str, sources: Sequence[StreamSource], *, max_age_s: float | None, max_bytes: int | None
) -> StreamConfig:
    return StreamConfig(
        name=received_stream(recipient),
        subjects=[],
        sources=list(sources),
        retention=RetentionPolicy.LIMITS,
        storage=StorageType.FILE,
        discard=DiscardPolicy.OLD,
        max_age=max_age_s,
        max_bytes=max_bytes,
        allow_direct=True,  # parked lines are read message by message
    )


async def purge_received(jetstream: JetStreamContext, provider: str, recipient: str, agreement: str) -> None:
    """Deletes what an agreement left in the recipient's stream: the provider's own purge is not replicated."""
    await _purge(jetstream, received_stream(recipient), shared_filter(provider, recipient, agreement))


async def purge_shared(jetstream: JetStreamContext, provider: str, recipient: str, agreement: str) -> None:
    """Deletes what an agreement left in the provider's share stream."""
    await _purge(jetstream, share_stream(provider, recipient), shared_filter(provider, recipient, agreement))


async def _purge(jetstream: JetStreamContext, stream: str, subject: str) -> None:
    try:
        await jetstream.purge_stream(stream, subject=subject)
    except NotFoundError:
        return


def _name(slug: str) -> str:
    return slug.upper().replace("-", "_")
