"""The embedded default without services: what it starts, keeps, restarts and refuses."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
import textwrap
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Callable
from pathlib import Path

import nats
import psutil
import pytest
from nats.aio.client import Client
from pymongo import AsyncMongoClient

from mesh.bus import login
from mesh.errors import ConfigurationError
from mesh.events import events_stream
from mesh.identity import OPERATOR
from mesh.stack import ChildEvent, ChildFailed, Happening, Stack, endpoints
from mesh.stack.folder import MARKER
from mesh.stack.ports import free_port

LOCALITIES = ["da-nang", "hue"]
NO_MONGODB = "mongodb://nowhere/"


async def eventually(check: Callable[[], bool], within_s: float = 30.0) -> None:
    """Returns when the condition holds."""
    async with asyncio.timeout(within_s):
        while not check():
            await asyncio.sleep(0.02)


def _mapped_program(pid: int) -> int:
    """Bytes of files it has mapped and does not share: the kernel drops them when it needs the room."""
    return sum(mapped.private_clean for mapped in psutil.Process(pid).memory_maps() if mapped.path.startswith("/"))


class TestServers:
    """Of a stack that serves nothing: mongod, hub and nats-servers."""

    async def test_are_ready_inside_and_gone_after(self, tmp_path: Path) -> None:
        """Inside the context every server answers; after it no process and no endpoints file are left."""
        async with Stack(LOCALITIES, tmp_path, serve=False) as stack:
            async with AsyncMongoClient(stack.mongodb_uri) as mongodb:
                assert (await mongodb.admin.command("hello"))["isWritablePrimary"]
            for slug in LOCALITIES:
                client = await nats.connect(stack.nats_url(slug), **login(stack.credentials(slug), OPERATOR))
                assert (await client.jetstream().account_info()).domain == slug
                await client.close()
            found = endpoints.read(stack.endpoints_file)
            assert set(found.processes) == {"mongod", "hub", "da-nang.nats", "hue.nats"}

        assert not any(psutil.pid_exists(pid) for pid in found.processes.values())
        assert not stack.endpoints_file.exists()

    async def test_secrets_are_readable_by_their_owner_only(self, tmp_path: Path) -> None:
        """Files with passwords, tokens or keys have mode 0600."""
        async with Stack(LOCALITIES, tmp_path, serve=False) as stack:
            stack.token("da-nang")
            secret = ["endpoints.json", "keys/da-nang.pem", "hub/nats.conf", "nodes/hue/nats.conf"]
            secret += ["hub/admin.nk", "nodes/hue/leaf.nk", "credentials/hue/health/nats.nk"]
            modes = {name: stat.S_IMODE((tmp_path / name).stat().st_mode) for name in secret}

        assert modes == dict.fromkeys(secret, 0o600)

    async def test_a_second_start_goes_on_with_the_data(self, tmp_path: Path) -> None:
        """Documents, streams, ports, keys and applied pairs are those of the run before."""
        async with Stack(LOCALITIES, tmp_path, serve=False) as first:
            await _write(first, "before")
            assert first.bus is not None
            await first.bus.hub.apply([("da-nang", "hue")])
            urls = [first.mongodb_uri, *map(first.nats_url, LOCALITIES)]
            seeds = _seeds(first)

        async with Stack(LOCALITIES, tmp_path, serve=False) as second:
            assert [second.mongodb_uri, *map(second.nats_url, LOCALITIES)] == urls
            assert _seeds(second) == seeds
            assert await _read(second) == ["before"]
            assert second.bus is not None
            assert second.bus.hub.applied == {("da-nang", "hue")}

    async def test_mongod_starts_small(self, tmp_path: Path) -> None:
        """What mongod takes before anything is stored leaves most of its 150 MiB to those who use it."""
        async with Stack(["hue"], tmp_path, serve=False) as stack:
            pid = stack.child("mongod").pid
            assert pid is not None
            own = psutil.Process(pid).memory_full_info().uss - _mapped_program(pid)

        assert own < 40 * 2**20

    async def test_mongod_soon_lets_go_of_what_nobody_uses(self, tmp_path: Path) -> None:
        """Idle sessions hold on to tables, and the past is kept in memory: by default both for five minutes."""
        async with Stack(["hue"], tmp_path, serve=False) as stack, AsyncMongoClient(stack.mongodb_uri) as mongodb:
            told = await mongodb.admin.command({"getParameter": "*"})

        assert told["wiredTigerSessionCloseIdleTimeSecs"] <= 10
        assert told["minSnapshotHistoryWindowInSeconds"] <= 10

    async def test_mongod_goes_on_when_its_port_is_taken(self, tmp_path: Path) -> None:
        """A data folder whose port somebody else has now is served on another one."""
        async with Stack(["hue"], tmp_path, serve=False) as first:
            await _write(first, "before")
        ports = json.loads((tmp_path / "ports.json").read_text())
        (tmp_path / "ports.json").write_text(json.dumps(ports | {"mongod": free_port(), "hue.nats": free_port()}))

        async with Stack(["hue"], tmp_path, serve=False) as second:
            assert second.mongodb_uri != first.mongodb_uri
            assert await _read(second) == ["before"]

    async def test_servers_of_your_own_are_used(self, tmp_path: Path) -> None:
        """With both addresses given nothing is started."""
        async with Stack(["hue"], tmp_path, serve=False, mongodb_uri=NO_MONGODB, nats_url="nats://y") as stack:
            assert stack.children == {}
            assert stack.mongodb_uri == NO_MONGODB
            assert stack.nats_url("hue") == "nats://y"

    async def test_one_nats_of_your_own_for_two_localities_is_refused(self, tmp_path: Path) -> None:
        """Each locality needs a JetStream domain of its own."""
        with pytest.raises(ConfigurationError, match="LIENTHONG_NATS_URL"):
            Stack(LOCALITIES, tmp_path, nats_url="nats://y")
        Stack(LOCALITIES, tmp_path, nats_url="nats://{locality}:4222")


class TestAChildThatCrashes:
    """Of each server, killed with SIGKILL."""

    @pytest.mark.parametrize("name", ["mongod", "hub", "da-nang.nats"])
    async def test_is_reported_and_restarted(self, tmp_path: Path, name: str) -> None:
        """The crash is reported with how it ended, and the server is back with its data."""
        async with Stack(["da-nang"], tmp_path, serve=False) as stack:
            await _write(stack, "before")
            process = stack.child(name).pid

            await stack.child(name).kill()
            await stack.child(name).wait_ready()

            assert stack.child(name).pid not in (None, process)
            crash, ready = [event for event in stack.events if event.child == name][-2:]
            assert (crash.happening, ready.happening) == (Happening.CRASHED, Happening.READY)
            assert "SIGKILL" in crash.detail
            assert endpoints.read(stack.endpoints_file).processes[name] == stack.child(name).pid
            assert await _read(stack) == ["before"]

    async def test_stays_down_when_asked_to(self, tmp_path: Path) -> None:
        """A test can keep a child down and start it when it likes."""
        async with Stack(["da-nang"], tmp_path, serve=False) as stack:
            child = stack.child("da-nang.nats")
            await child.kill(restart=False)
            assert child.pid is None
            await child.start()
            assert child.pid is not None

    async def test_ends_the_start_with_its_last_words(self, tmp_path: Path) -> None:
        """A server that cannot start says why, and those that did start are stopped."""
        async with Stack([], tmp_path, serve=False, mongodb_uri=NO_MONGODB):
            (tmp_path / "nodes").mkdir()
            (tmp_path / "nodes" / "da-nang").mkdir()
            (tmp_path / "nodes" / "da-nang" / "jetstream").write_text("no folder")
        events: list[ChildEvent] = []

        with pytest.raises(ChildFailed, match=r"(?s)da-nang.nats ended with status 1 .*JetStream"):
            async with Stack(["da-nang"], tmp_path, serve=False, mongodb_uri=NO_MONGODB, on_event=events.append):
                pass

        assert [(event.child, event.happening) for event in events if event.child == "hub"] == [
            ("hub", Happening.READY),
            ("hub", Happening.STOPPED),
        ]


class TestTheLink:
    """Of a locality to the hub."""

    async def test_is_cut_and_comes_back(self, tmp_path: Path) -> None:
        """A locality that is cut off stays so until it may rejoin."""
        async with Stack(LOCALITIES, tmp_path, serve=False, mongodb_uri=NO_MONGODB) as stack:
            assert stack.bus is not None
            await stack.bus.hub.wait_linked(LOCALITIES)

            await stack.cut_leaf("hue")
            assert await stack.bus.hub.linked() == {"da-nang"}

            await stack.rejoin("hue")
            assert await stack.bus.hub.linked() == {"da-nang", "hue"}


class TestTheDataFolder:
    """Of `--data` and `--fresh`."""

    async def test_fresh_empties_a_folder_of_an_earlier_run(self, tmp_path: Path) -> None:
        """What a previous run wrote is gone, including what it did not know."""
        async with Stack([], tmp_path, serve=False, mongodb_uri=NO_MONGODB):
            (tmp_path / "left").mkdir()

        async with Stack([], tmp_path, serve=False, mongodb_uri=NO_MONGODB, fresh=True):
            assert not (tmp_path / "left").exists()

    @pytest.mark.parametrize("fresh", [True, False])
    async def test_a_foreign_folder_is_left_alone(self, tmp_path: Path, fresh: bool) -> None:
        """A folder with files that no run marked is refused, with and without `fresh`, and nothing in it is touched."""
        (tmp_path / "thesis.txt").write_text("years of work")

        with pytest.raises(ConfigurationError, match="left alone"):
            async with Stack([], tmp_path, fresh=fresh):
                pass

        assert os.listdir(tmp_path) == ["thesis.txt"]

    async def test_fresh_does_not_follow_links_out_of_the_folder(self, tmp_path: Path) -> None:
        """A symbolic link in the data folder is removed, what it points to is not."""
        data, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
        elsewhere.mkdir()
        (elsewhere / "thesis.txt").write_text("years of work")
        data.mkdir()
        (data / MARKER).touch()
        (data / "link").symlink_to(elsewhere)

        async with Stack([], data, serve=False, mongodb_uri=NO_MONGODB, fresh=True):
            assert not (data / "link").exists()

        assert (elsewhere / "thesis.txt").exists()

    async def test_a_folder_in_use_is_refused(self, tmp_path: Path) -> None:
        """Two stacks on one folder would destroy it; `fresh` neither helps nor harms."""
        async with Stack([], tmp_path, serve=False, mongodb_uri=NO_MONGODB):
            (tmp_path / "mine").touch()
            with pytest.raises(ConfigurationError, match="in use"):
                async with Stack([], tmp_path, fresh=True):
                    pass
            assert (tmp_path / "mine").exists()

    async def test_endpoints_of_a_mesh_that_was_killed_are_no_endpoints(self, tmp_path: Path) -> None:
        """A file left by a killed run does not send the command to ports that are somebody else's now."""
        async with Stack([], tmp_path, serve=False, mongodb_uri=NO_MONGODB) as stack:
            left = stack.endpoints()
        gone = await asyncio.create_subprocess_exec(sys.executable, "-c", "")
        await gone.wait()
        left.model_copy(update={"pid": gone.pid}).write(stack.endpoints_file)

        with pytest.raises(ConfigurationError, match="no longer runs"):
            endpoints.read(stack.endpoints_file)


class TestAParent:
    """Of the process that holds the stack."""

    SCRIPT = textwrap.dedent("""
        import asyncio, json, pathlib, sys
        from mesh.stack import Stack
        async def main():
            async with Stack(["hue"], pathlib.Path(sys.argv[1]), serve=False) as stack:
                print(json.dumps(stack.endpoints().processes), flush=True)
                await asyncio.Event().wait()
        asyncio.run(main())
    """)

    @pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
    async def test_leaves_no_child_behind(self, tmp_path: Path, number: signal.Signals) -> None:
        """Killed or interrupted, it takes its children with it, and the folder can be used again."""
        parent = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", self.SCRIPT, tmp_path), stdout=PIPE, stderr=DEVNULL, start_new_session=True
        )
        assert parent.stdout is not None
        children: dict[str, int] = json.loads(await parent.stdout.readline())

        parent.send_signal(number)
        await parent.wait()

        await eventually(lambda: not any(map(psutil.pid_exists, children.values())))
        async with Stack(["hue"], tmp_path, serve=False):
            pass

    def test_children_are_not_in_its_process_group(self, tmp_path: Path) -> None:
        """Ctrl-C in a terminal goes to the parent's group; each child has a group of its own."""

        async def groups() -> list[tuple[int, int]]:
            async with Stack(["hue"], tmp_path, serve=False) as stack:
                return [(pid, os.getpgid(pid)) for pid in stack.endpoints().processes.values()]

        assert all(pid == group for pid, group in asyncio.run(groups()))


async def _write(stack: Stack, text: str) -> None:
    """Leaves a trace in MongoDB and in the stream of a service of the first locality."""
    async with AsyncMongoClient(stack.mongodb_uri) as mongodb:
        await mongodb.test.traces.insert_one({"text": text})
    slug = stack.localities[0]
    stream, subject = events_stream(slug, "environment"), f"events.{slug}.environment.traces"
    client = await _environment(stack, slug)
    await client.jetstream().add_stream(name=stream, subjects=[subject], allow_direct=True)
    await client.jetstream().publish(subject, text.encode())
    await client.close()


async def _read(stack: Stack) -> list[str]:
    """Returns the traces, after making sure that MongoDB and the stream hold the same."""
    async with AsyncMongoClient(stack.mongodb_uri) as mongodb:
        documents = [document["text"] async for document in mongodb.test.traces.find()]
    slug = stack.localities[0]
    client = await _environment(stack, slug)
    jetstream, stream = client.jetstream(), events_stream(slug, "environment")
    count = (await jetstream.stream_info(stream)).state.messages
    messages = [(await jetstream.get_msg(stream, seq, direct=True)).data or b"" for seq in range(1, count + 1)]
    await client.close()
    assert [message.decode() for message in messages] == documents
    return documents


def _seeds(stack: Stack) -> dict[str, str]:
    return {str(file): file.read_text() for file in stack.data.rglob("*.nk")}


async def _environment(stack: Stack, slug: str) -> Client:
    """A connection as the environment service has it."""
    return await nats.connect(stack.nats_url(slug), **login(stack.credentials(slug), "environment"))
