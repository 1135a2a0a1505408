"""What a component can reach: plain processes, and the sandbox where bubblewrap works."""

from __future__ import annotations

import json
import os
import signal
import socket
import tempfile
import threading
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from embedded_scheduler.errors import Refused
from embedded_scheduler.runners.attempt import SCRATCH, WORK, Order
from embedded_scheduler.runners.run_directory import RunDirectory
from embedded_scheduler.runners.sandbox import NoSandbox, Sandbox, choose
from embedded_scheduler.spi.conformance import RunnerConformance
from embedded_scheduler.spi.runner import Exit, LaunchSpec, Limits

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.integration.runners.conftest import Harness

REPORT = """import json, os
def main():
    status = dict(line.split(':\\t', 1) for line in open('/proc/self/status').read().splitlines() if ':\\t' in line)
    import resource
    print(json.dumps({
        'environment': dict(os.environ), 'initial': open('/proc/self/environ').read(),
        'descriptors': sorted(os.listdir('/proc/self/fd')), 'privileges': status['NoNewPrivs'],
        'capabilities': status['CapEff'], 'core': resource.getrlimit(resource.RLIMIT_CORE),
        'modes': [oct(os.stat(os.environ[name]).st_mode & 0o777) for name in ('HOME', 'TMPDIR')],
        'root': os.listdir('/'), 'etc': os.listdir('/etc') if os.path.isdir('/etc') else [],
        'processes': [name for name in os.listdir('/proc') if name.isdigit()],
    }))
"""


@pytest.fixture
def sandboxed(harness: Harness) -> Harness:
    found = choose("auto", harness.root)
    if isinstance(found, NoSandbox):
        pytest.skip(found.why)
    harness.containment = found
    return harness


@pytest.fixture(params=["plain", "sandbox"])
def contained(request: pytest.FixtureRequest, harness: Harness) -> Harness:
    if request.param == "sandbox":
        request.getfixturevalue("sandboxed")
    return harness


async def _run(harness: Harness, spec: LaunchSpec) -> Exit:
    runner = harness.runner()
    await runner.launch(spec)
    return await runner.wait(runner.handle(spec))


async def _report(harness: Harness) -> dict[str, Any]:
    spec = harness.at(harness.builtin("report", REPORT), "a", {"config.token": "t0ken"})
    assert (await _run(harness, spec)) == Exit(code=0), harness.log("a")
    found: dict[str, Any] = json.loads(harness.log("a").splitlines()[0])
    return found


@contextmanager
def _node(port: int = 0, host: str = "127.0.0.1") -> Iterator[int]:
    """A server that answers what it was sent, in capitals; yields its port."""
    server = socket.create_server((host, port))

    def serve() -> None:
        while True:
            try:
                connection, _ = server.accept()
            except OSError:
                return
            with connection:
                while data := connection.recv(1 << 16):
                    connection.sendall(data.upper())

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield server.getsockname()[1]
    finally:
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()


def _own_address() -> str:
    """An address of this machine that is not of its loopback; empty if there is none."""
    try:
        found = socket.gethostbyname_ex(socket.gethostname())[2]
    except OSError:
        found = []
    with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as route:
        try:
            # Sends nothing: it tells which address would be used.
            route.connect(("192.0.2.1", 9))
            found.append(route.getsockname()[0])
        except OSError:
            pass
    return next((address for address in found if not address.startswith("127.")), "")


def _answers(place: str) -> bool:
    host, _, port = place.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=2).close()
    except OSError:
        return False
    return True


async def test_nothing_of_the_node_is_inherited(contained: Harness, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NODECONSOLE_PASSPHRASE", "of the node")
    # A descriptor that the node made inheritable by accident.
    with closing(socket.create_server(("127.0.0.1", 0))) as leak:
        leak.set_inheritable(True)
        found = await _report(contained)
    work, scratch = (str(contained.runs / "a" / name) for name in (WORK, SCRATCH))
    system = {"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": work, "TMPDIR": scratch}
    assert found["environment"] == {"config.token": "t0ken"} | system
    assert "of the node" not in found["initial"]
    # 3 is the listing itself.
    assert found["descriptors"] == ["0", "1", "2", "3"]
    assert (found["privileges"], found["core"], found["modes"]) == ("1", [0, 0], ["0o700", "0o700"])


async def test_programs_inherit_nothing_either(contained: Harness) -> None:
    program = (
        "import os\n"
        "print(sorted(os.listdir('/proc/self/fd')), [line for line in open('/proc/self/status') if 'NoNew' in line])\n"
        "print(sorted(os.environ))\n"
    )
    assert await _run(contained, contained.spec("a", program)) == Exit(code=0)
    first, second, _ = contained.log("a").split("\n", 2)
    assert first == "['0', '1', '2', '3'] ['NoNewPrivs:\\t1\\n']"
    assert json.loads(second.replace("'", '"')) == ["HOME", "LANG", "PATH", "TMPDIR"]


async def test_a_process_in_another_session_ends_with_the_attempt(contained: Harness) -> None:
    marker = f"attempt-{os.getpid()}-{id(contained)}"
    source = (
        "import os, sys\n"
        "def main():\n"
        "    if os.fork() == 0:\n"
        "        os.setsid()\n"
        "        if os.fork() == 0:\n"
        f"            os.execv('/bin/sh', ['sh', '-c', 'echo away; sleep 600; : {marker}'])\n"
        "        os._exit(0)\n"
        "    os.wait()\n"
    )
    assert await _run(contained, contained.at(contained.builtin("runaway", source), "a")) == Exit(code=0)
    left = [entry for entry in Path("/proc").glob("[0-9]*") if marker.encode() in _command_line(entry)]
    assert left == []


def _command_line(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


# The sandbox


async def test_the_view_holds_nothing_but_what_is_needed(sandboxed: Harness) -> None:
    found = await _report(sandboxed)
    assert found["capabilities"].strip("0") == ""
    assert not {"shadow", "passwd", "ssh", "machine-id"} & set(found["etc"])
    assert not {"var", "home", "srv", "mnt", "boot", "sys", "run"} & set(found["root"])
    # The sandbox's own first process and the component.
    assert len(found["processes"]) == 2


async def test_inputs_are_read_only_outputs_writable_and_the_home_hidden(sandboxed: Harness) -> None:
    root = sandboxed.root
    out, other = root / "storage" / "job-1", root / "storage" / "job-2"
    for directory in (out, other):
        directory.mkdir(parents=True)
    given, foreign, key = out / "given", other / "result", root / "platform.token"
    for file in (given, foreign, key):
        file.write_text("content")
    source = (
        "import os\n"
        "def attempt(what, work):\n"
        "    try:\n"
        "        print(what, work())\n"
        "    except OSError as error:\n"
        "        print(what, type(error).__name__)\n"
        "def main():\n"
        f"    attempt('input', lambda: open({str(given)!r}).read())\n"
        f"    attempt('change', lambda: open({str(given)!r}, 'w'))\n"
        f"    attempt('replace', lambda: os.unlink({str(given)!r}))\n"
        f"    attempt('output', lambda: open({str(out / 'result')!r}, 'w').write('done'))\n"
        f"    attempt('foreign', lambda: open({str(foreign)!r}))\n"
        f"    attempt('key', lambda: open({str(key)!r}))\n"
        f"    attempt('home', lambda: sorted(os.listdir({str(root)!r})))\n"
        "    attempt('system', lambda: open('/usr/bin/new', 'w'))\n"
    )
    spec = sandboxed.at(sandboxed.builtin("curious", source), "a")
    assert await _run(sandboxed, replace(spec, reads=(given, root / "missing"), writes=(out,))) == Exit(code=0)
    lines = sandboxed.log("a").splitlines()
    assert lines[:6] == [
        "input content",
        "change OSError",
        "replace OSError",
        "output 4",
        "foreign FileNotFoundError",
        "key FileNotFoundError",
    ]
    assert lines[6].startswith("home ['packages', 'runs', 'storage']")
    assert lines[7] == "system OSError"
    assert (given.read_text(), (out / "result").read_text()) == ("content", "done")
    assert list((sandboxed.runs / "a" / "inputs").iterdir()) == [], "links would keep deleted results on the disk"


async def test_the_network_is_the_node_alone(sandboxed: Harness) -> None:
    source = (
        "import socket\n"
        "def main():\n"
        "    import os\n"
        "    with socket.create_connection(('127.0.0.1', int(os.environ['node']))) as node:\n"
        "        node.sendall(b'hello ' * 200000)\n"
        "        node.shutdown(socket.SHUT_WR)\n"
        "        answer = b''\n"
        "        while piece := node.recv(1 << 16):\n"
        "            answer += piece\n"
        "    print(answer == b'HELLO ' * 200000)\n"
        "    for port in (int(os.environ['other']), 80):\n"
        "        try:\n"
        "            socket.create_connection(('127.0.0.1', port), timeout=5)\n"
        "        except OSError as error:\n"
        "            print(type(error).__name__)\n"
        "    print(len(socket.if_nameindex()))\n"
    )
    with _node() as node, _node() as other:
        environment = {"node": str(node), "other": str(other)}
        spec = sandboxed.at(sandboxed.builtin("caller", source), "a", environment)
        assert await _run(sandboxed, replace(spec, node_address=f"127.0.0.1:{node}")) == Exit(code=0)
    expected = ["True", "ConnectionRefusedError", "ConnectionRefusedError", "1"]
    assert sandboxed.log("a").splitlines()[:4] == expected


async def test_other_services_are_reached_by_the_names_and_addresses_that_they_have_outside(sandboxed: Harness) -> None:
    source = (
        "import os, socket\n"
        "def main():\n"
        "    for place in os.environ['places'].split():\n"
        "        host, _, port = place.rpartition(':')\n"
        "        with socket.create_connection((host, int(port))) as service:\n"
        "            service.sendall(b'hello')\n"
        "            print(place, service.recv(5))\n"
        "    try:\n"
        "        socket.create_connection(('127.0.0.1', int(os.environ['other'])), timeout=5)\n"
        "    except OSError as error:\n"
        "        print(type(error).__name__)\n"
    )
    with _node(host="0.0.0.0") as service, _node() as other, _node() as node:
        places = [f"127.0.0.1:{service}", f"127.0.0.2:{service}", f"{socket.gethostname()}:{service}"]
        relayed = _own_address()
        if relayed:
            places.append(f"{relayed}:{service}")
        # The host's own name may be unknown, or another machine's.
        answering = [place for place in places if _answers(place)]
        assert answering[0] == places[0]
        environment = {"places": " ".join(answering), "other": str(other)}
        spec = sandboxed.at(sandboxed.builtin("caller", source), "a", environment)
        reaching = replace(spec, node_address=f"127.0.0.1:{node}", reaches=tuple(answering))
        assert await _run(sandboxed, reaching) == Exit(code=0), sandboxed.log("a")
    expected = [*(f"{place} b'HELLO'" for place in answering), "ConnectionRefusedError"]
    assert sandboxed.log("a").splitlines()[: len(expected)] == expected


async def test_an_address_that_cannot_be_reached_from_inside_is_refused(sandboxed: Harness) -> None:
    spec = sandboxed.at(sandboxed.builtin("idle", "def main(): pass\n"), "a")
    with pytest.raises(Refused, match=r"IPv6 address 2001:db8::1: use IPv4 or a name"):
        await sandboxed.runner().launch(replace(spec, reaches=("[2001:db8::1]:9000",)))


async def test_a_node_that_comes_back_is_reached_again(sandboxed: Harness) -> None:
    source = (
        "import os, socket, time\n"
        "def call():\n"
        "    with socket.create_connection(('127.0.0.1', int(os.environ['node']))) as node:\n"
        "        node.sendall(b'hello')\n"
        "        return node.recv(5)\n"
        "def main():\n"
        "    print(call())\n"
        "    while True:\n"
        "        try:\n"
        "            if call() == b'':\n"
        "                break\n"
        "        except OSError:\n"
        "            break\n"
        "    print('gone')\n"
        "    while True:\n"
        "        try:\n"
        "            if call() == b'HELLO':\n"
        "                return\n"
        "        except OSError:\n"
        "            pass\n"
        "        time.sleep(.01)\n"
    )
    with _node() as port:
        spec = sandboxed.at(sandboxed.builtin("patient", source), "a", {"node": str(port)})
        spec = replace(spec, node_address=f"127.0.0.1:{port}")
        await sandboxed.runner().launch(spec)
        await sandboxed.until_printed("b'HELLO'")
    await sandboxed.until_printed("gone")
    with _node(port):
        # A runner of a node that was started again.
        runner = sandboxed.runner()
        assert await runner.wait(runner.handle(spec)) == Exit(code=0)


async def test_a_sandboxed_component_hears_a_termination(sandboxed: Harness) -> None:
    source = (
        "import signal, sys, time\n"
        "def main():\n"
        "    signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "    print('ready')\n"
        "    time.sleep(600)\n"
    )
    spec = sandboxed.at(sandboxed.builtin("polite", source), "a")
    runner = sandboxed.runner()
    await runner.launch(spec)
    await sandboxed.until_printed("ready")
    await runner.terminate(runner.handle(spec), 10)
    assert await runner.wait(runner.handle(spec)) == Exit(code=7)


async def test_memory_is_limited_in_the_sandbox(sandboxed: Harness) -> None:
    address = sandboxed.builtin("greedy", "def main():\n    bytearray(1 << 32)\n")
    spec = sandboxed.at(address, "a", limits=Limits(memory_bytes=1 << 30))
    assert await _run(sandboxed, spec) == Exit(code=1)
    assert "MemoryError" in sandboxed.log("a")


async def test_a_signal_is_reported_as_a_signal(sandboxed: Harness) -> None:
    address = sandboxed.builtin("crashing", "import os\ndef main():\n    os.kill(os.getpid(), 11)\n")
    assert await _run(sandboxed, sandboxed.at(address, "a")) == Exit(code=None, signal=signal.SIGSEGV)


CHECKS = [check for check in RunnerConformance.checks() if "many" not in check]


@pytest.mark.parametrize("check", CHECKS)
async def test_the_contract_of_a_runner_holds_in_the_sandbox(check: str, sandboxed: Harness) -> None:
    await RunnerConformance(sandboxed).run(check)


def test_a_link_in_the_place_of_an_input_is_not_followed(tmp_path: Path) -> None:
    secret, link, plain = tmp_path / "secret", tmp_path / "link", tmp_path / "plain"
    secret.write_text("secret")
    plain.write_text("plain")
    link.symlink_to(secret)
    run = RunDirectory(tmp_path / "run")
    run.create()
    held = run.hold([link, plain, tmp_path / "missing"])
    assert list(held) == [plain]
    assert held[plain].read_text() == "plain"
    assert len(list((run.path / "inputs").iterdir())) == 1


def test_an_input_on_another_disk_is_shown_itself(tmp_path: Path) -> None:
    other = Path("/dev/shm")
    if other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("there is no second file system")
    with tempfile.TemporaryDirectory(dir=other) as directory:
        plain, link = Path(directory) / "plain", Path(directory) / "link"
        plain.touch()
        link.symlink_to(plain)
        run = RunDirectory(tmp_path / "run")
        run.create()
        assert run.hold([plain, link]) == {plain: plain}


def test_a_directory_above_the_home_uncovers_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    (tmp_path / "packages").mkdir()
    (tmp_path / "started-in").mkdir()
    monkeypatch.chdir(tmp_path / "started-in")
    sandbox = Sandbox("/usr/bin/bwrap", home)
    searched = ["/", str(tmp_path), str(tmp_path / "packages"), str(tmp_path / "started-in")]
    mounts = sandbox.mounts(home / "runs" / "a", (), searched, {}, [])
    shown = {mount.target for mount in mounts if mount.kind == "read"}
    assert tmp_path / "packages" in shown
    assert tmp_path / "started-in" not in shown
    assert not any(home.is_relative_to(path) for path in shown)
    hidden = [mount.kind for mount in mounts].index("hide")
    inside = [index for index, mount in enumerate(mounts) if mount.target.is_relative_to(home)]
    assert min(inside) == hidden, "what is shown of the home comes after it was hidden"


async def test_nothing_starts_without_a_required_sandbox(harness: Harness) -> None:
    harness.containment = NoSandbox("bubblewrap is not installed", required=True, advice="install bubblewrap")
    spec = harness.at(harness.builtin("part", "def main(): pass\n"), "a")
    runner = harness.runner()
    assert "install bubblewrap" in str(runner.accepts(spec.image_url))
    with pytest.raises(Refused, match="install bubblewrap"):
        await runner.launch(spec)
    assert not spec.log_path.exists()


def test_levels_say_how_to_raise_them() -> None:
    off = choose("off", Path("/nowhere")).describe()
    assert (off.level, "components.sandbox" in str(off.advice)) == ("plain", True)
    assert NoSandbox("why", required=True, advice="do").describe().level == "none"
    assert Sandbox("/usr/bin/bwrap", Path("/nowhere")).describe().level == "sandbox"


def test_an_order_is_read_as_it_was_written() -> None:
    order = Order(
        kind="exec",
        target="/x",
        log="l",
        end_of_log="e",
        python="p",
        package="k",
        path=["a", "b"],
        environment={"n": "v=w"},
        cpu=2,
        node="127.0.0.1:1",
        sandbox=["bwrap", "--", "x"],
    )
    read = Order.decode(order.encode())
    assert {name: getattr(read, name) for name in Order.__slots__} == {
        name: getattr(order, name) for name in Order.__slots__
    }
