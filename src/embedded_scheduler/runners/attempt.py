"""The attempt shim: a small process beside each component that outlives the node and keeps how the component ended.

It is started once per attempt, afresh or as a fork of the template (`template.py`), as the leader of its own session,
with the attempt's log as stdout and stderr and the attempt's lock as descriptor 3. It forks; the child becomes the
component; the parent waits, ends what the component left behind, closes the log and writes the exit file. It holds the
lock from its first to its last instruction, so "the lock is held" is the same as "somebody will still write the exit
file".

A control plane starts one of these per task, so every import counts: beyond what the interpreter has loaded anyway,
only C modules are imported, and nothing of this package. (`signal`, `json`, `typing`, `pathlib` and `dataclasses`
cost 4 to 10 ms each, as much as the start of the interpreter.) For the same reason the files are written by hand.
"""

# ruff: noqa: PTH104, PTH108, PTH123, PTH208
import _signal  # type: ignore[import-not-found]  # the C half of `signal`: the other half wraps its numbers in enums
import atexit
import errno
import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any, NoReturn

LOCK_DESCRIPTOR = 3
ORDER_FILE = "order"
TAKEN_ORDER_FILE = "order.taken"
IDENTITY_FILE = "pid"
EXIT_FILE = "exit.json"
WORK = "work"
SCRATCH = "tmp"
INPUTS = "inputs"
ORDER_DESCRIPTOR = LOCK_DESCRIPTOR
HANDOVER_DESCRIPTOR = 4
FAILURE_DESCRIPTOR = 5

TERMINATE: int = _signal.SIGTERM
KILL: int = _signal.SIGKILL
# Blocked for the shim's whole life: a signal to the group must not take away the process that records the ending.
_DEFERRED = (_signal.SIGTERM, _signal.SIGINT, _signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2)
_DEAD = (b"Z", b"X")
_BY_SIGNAL = range(128 + 1, 128 + 32)
# Options of prctl(2).
_DIE_WITH_PARENT = 1
_ADOPT_ORPHANS = 36
_NO_NEW_PRIVILEGES = 38
PATIENCE_FOR_LOG_S = 3
PATIENCE_FOR_EXIT_S = 600
_PATIENCE_FOR_LEFTOVERS_S = 60


class Order:
    """What to run, as the node wrote it. `kind` is builtin, exec or module; sizes in bytes, 0 = no limit.

    `sandbox` is the command that runs `inside` within a sandbox, empty = none; `node` the `host:port` of the node
    there, empty = none; `routes` its other ways out, each `<numeric host inside> <port> <host:port outside>`.
    """

    __slots__ = (
        "cpu",
        "disk_bytes",
        "end_of_log",
        "environment",
        "kind",
        "log",
        "memory_bytes",
        "node",
        "package",
        "path",
        "python",
        "routes",
        "sandbox",
        "target",
    )

    def __init__(
        self,
        *,
        kind: str,
        target: str,
        log: str,
        end_of_log: str,
        python: str,
        package: str,
        path: "Iterable[str]",
        environment: "Mapping[str, str]",
        memory_bytes: int = 0,
        disk_bytes: int = 0,
        cpu: int = 0,
        node: str = "",
        sandbox: "Iterable[str]" = (),
        routes: "Iterable[str]" = (),
    ) -> None:
        self.kind = kind
        self.target = target
        self.log = log
        self.end_of_log = end_of_log
        self.python = python
        self.package = package
        self.path = list(path)
        self.environment = dict(environment)
        self.memory_bytes = memory_bytes
        self.disk_bytes = disk_bytes
        self.cpu = cpu
        self.node = node
        self.sandbox = list(sandbox)
        self.routes = list(routes)

    def encode(self) -> bytes:
        """NUL-terminated fields, the last ones `name=value` of the environment; no text may hold NUL."""
        fields = [
            self.kind,
            self.target,
            self.log,
            self.end_of_log,
            self.python,
            self.package,
            str(self.memory_bytes),
            str(self.disk_bytes),
            str(self.cpu),
            self.node,
            str(len(self.path)),
            str(len(self.sandbox)),
            str(len(self.routes)),
            *self.path,
            *self.sandbox,
            *self.routes,
            *(f"{name}={value}" for name, value in self.environment.items()),
        ]
        return b"".join(os.fsencode(field) + b"\0" for field in fields)

    @classmethod
    def decode(cls, raw: bytes) -> "Order":
        fields = [os.fsdecode(field) for field in raw.split(b"\0")[:-1]]
        kind, target, log, end_of_log, python, package, memory, disk, cpu, node, paths, words, ways = fields[:13]
        first_word = 13 + int(paths)
        first_route = first_word + int(words)
        first_variable = first_route + int(ways)
        return cls(
            kind=kind,
            target=target,
            log=log,
            end_of_log=end_of_log,
            python=python,
            package=package,
            path=fields[13:first_word],
            environment={name: value for name, _, value in (pair.partition("=") for pair in fields[first_variable:])},
            memory_bytes=int(memory),
            disk_bytes=int(disk),
            cpu=int(cpu),
            node=node,
            sandbox=fields[first_word:first_route],
            routes=fields[first_route:first_variable],
        )


class Ending:
    """How the component ended: one of the first three is set. `fault` is the errno of a program that could not be
    started; `peak` the largest memory of one of its processes in bytes, 0 = not measured; `starved`: the kernel killed
    it because the machine ran out of memory."""

    __slots__ = ("code", "fault", "peak", "signal", "starved")

    def __init__(
        self,
        code: int | None = None,
        signal: int | None = None,
        fault: int | None = None,
        *,
        peak: int = 0,
        starved: bool = False,
    ) -> None:
        self.code = code
        self.signal = signal
        self.fault = fault
        self.peak = peak
        self.starved = starved

    def __str__(self) -> str:
        if self.code is not None:
            return f"exit {self.code}"
        return f"signal {self.signal}" if self.signal is not None else "not started"

    def encode(self) -> bytes:
        members = (("code", self.code), ("signal", self.signal), ("fault", self.fault), ("peak", self.peak))
        known = ", ".join(f'"{k}": {"null" if v is None else v}' for k, v in members)
        return f'{{{known}, "starved": {"true" if self.starved else "false"}}}\n'.encode()


def main(run_directory: str, begun: "Callable[[], None] | None" = None) -> "NoReturn":
    """Run the attempt prepared in `run_directory`; called once, first thing, in a process of its own.

    `begun` is called when the identity file is there; after it, only descriptors 0 to 3 may be open.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, _DEFERRED)
    os.umask(0o077)
    os.chdir(run_directory)
    try:
        # The node starts a second process when the first seems to hang; only one of them can rename the order.
        os.rename(ORDER_FILE, TAKEN_ORDER_FILE)
    except FileNotFoundError:
        os._exit(0)
    order = Order.decode(_read(TAKEN_ORDER_FILE))
    replace_file(IDENTITY_FILE, identity_of_this_process(order.log))
    # The environment holds the attempt's token, which is needed only here.
    os.unlink(TAKEN_ORDER_FILE)
    if begun is not None:
        begun()
    adopt_orphans()
    ending = _run_contained(order) if order.sandbox else _run(order)
    end_leftovers(os.getsid(0))
    discard_inputs()
    when_there_is_room(lambda: close_log(1, f"{order.end_of_log}, {ending}"), PATIENCE_FOR_LOG_S)
    when_there_is_room(lambda: replace_file(EXIT_FILE, ending.encode(), durable=True), PATIENCE_FOR_EXIT_S)
    os._exit(0)


def identity_of_this_process(log: str) -> bytes:
    """Lines: boot id, pid and its start time in ticks since boot, session and its leader's, and the log's path."""
    session = os.getsid(0)
    facts = (boot_id(), os.getpid(), start_ticks(os.getpid()), session, start_ticks(session), log)
    return os.fsencode("\n".join(str(fact) for fact in facts))


def start_ticks(pid: int) -> int | None:
    """When a live process started, in clock ticks since boot; None if there is none (a zombie is not alive)."""
    fields = status_fields(pid)
    return None if fields is None or fields[0] in _DEAD else int(fields[19])


def boot_id() -> str:
    """Tells one boot of this machine from another."""
    return _read("/proc/sys/kernel/random/boot_id").decode("ascii").strip()


def session_members(session: int) -> list[int]:
    """Every live process of a session; a zombie is not alive, even where nobody collects it."""
    members = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            belongs = os.getsid(int(name)) == session
        except ProcessLookupError:
            continue
        if belongs:
            fields = status_fields(int(name))
            if fields is not None and fields[0] not in _DEAD:
                members.append(int(name))
    return members


def _descendants() -> "set[int]":
    """Every live process below this one. Those whose parent ended are below it too (see `adopt_orphans`)."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        fields = status_fields(int(name)) if name.isdigit() else None
        if fields is not None and fields[0] not in _DEAD:
            parents[int(name)] = int(fields[1])
    found: set[int] = set()
    fresh = {os.getpid()}
    while fresh:
        fresh = {pid for pid, parent in parents.items() if parent in fresh} - found
        found |= fresh
    return found


def replace_file(path: str, content: bytes, *, durable: bool = False) -> None:
    """Write a private file so that a reader finds the old content or the new one, never a part."""
    draft = f"{path}.new"
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        _write_all(descriptor, content)
        if durable:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    os.rename(draft, path)


def close_log(descriptor: int, line: str) -> None:
    """Append `line` as a line of its own; the bytes before it stay as they are. `descriptor` is open for append."""
    start = b"\n" if _ends_inside_a_line(descriptor) else b""
    _write_all(descriptor, start + line.encode() + b"\n")


def _run(order: Order) -> Ending:
    if TERMINATE in _signal.sigpending():
        return Ending(signal=TERMINATE)
    # Tells why execve failed; a built-in component is not executed, and gets no descriptor that it need not have.
    failures, failure = os.pipe() if order.kind != "builtin" else (None, None)
    killed = _killed_for_memory()
    child = os.fork()
    if child == 0:
        become_component(order, failure)
    if failure is not None:
        os.close(failure)
    if TERMINATE in _signal.sigpending():
        # It may have come after the check above and before there was a child to receive it.
        os.kill(child, TERMINATE)
    fault = os.read(failures, 16) if failures is not None else b""
    ending = _ending_of(child, killed, contained=False)
    return Ending(fault=int(fault)) if fault else ending


def _run_contained(order: Order) -> Ending:
    """Run the component in its sandbox; what listens there for the node is served by a relay out here."""
    import _socket  # noqa: PLC0415 - the attempts without a sandbox do without

    own, other = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    # Tells which process speaks from inside, by its number out here.
    own.setsockopt(_socket.SOL_SOCKET, _socket.SO_PASSCRED, 1)
    failures, failure = os.pipe()
    killed = _killed_for_memory()
    child = os.fork()
    if child == 0:
        _become_sandbox(order, other.fileno(), failure)
    other.close()
    os.close(failure)
    ready, listener, speaker = _receive_listener(own)
    if not ready:
        ending = _ending_of(child, killed)
        _write_all(1, b"nodeconsole: the sandbox could not be set up; the lines above say why\n")
        return ending
    if order.routes and not _open_routes(order, speaker):
        os.kill(child, KILL)
        os.waitpid(child, 0)
        return Ending(code=1)
    if TERMINATE in _signal.sigpending():
        # The component has not begun, and in its sandbox nobody may have heard the signal.
        os.kill(child, KILL)
        os.waitpid(child, 0)
        return Ending(signal=TERMINATE)
    if listener is not None:
        start_relay(listener, order.node)
    own.send(b"go")
    own.close()
    fault = os.read(failures, 16)
    ending = _ending_of(child, killed)
    return Ending(fault=int(fault)) if fault else ending


def _become_sandbox(order: Order, handover: int, failure: int) -> "NoReturn":
    # Signals stay blocked in the sandbox's own processes: only the component is to hear them, and decides.
    content = os.memfd_create("order")
    _write_all(content, order.encode())
    os.lseek(content, 0, os.SEEK_SET)
    # Moved up first: one may have the number that another is to get.
    moved = [_duplicate_above(each, FAILURE_DESCRIPTOR) for each in (content, handover, failure)]
    for source, number in zip(moved, (ORDER_DESCRIPTOR, HANDOVER_DESCRIPTOR, FAILURE_DESCRIPTOR), strict=True):
        os.dup2(source, number)
    try:
        os.execve(order.sandbox[0], order.sandbox, os.environ)  # noqa: S606 - no shell is wanted
    except OSError as error:
        _write_all(1, f"nodeconsole: {order.sandbox[0]}: {os.strerror(error.errno or 0)}\n".encode())
    os._exit(127)


def inside() -> "NoReturn":
    """Within the sandbox: hand the listening socket out, wait for the word, and become the component."""
    import _socket  # noqa: PLC0415

    os.umask(0o077)
    order = Order.decode(_read_descriptor(ORDER_DESCRIPTOR))
    handover = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET, 0, HANDOVER_DESCRIPTOR)
    rights = []
    listener = None
    if order.node:
        host, port = split_address(order.node)
        listener = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET, _socket.SOCK_STREAM)
        listener.bind((host, port))
        listener.listen(128)
        rights = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, listener.fileno().to_bytes(4, sys.byteorder))]
    handover.sendmsg([b"ready"], rights)
    if listener is not None:
        listener.close()
    if not handover.recv(8):
        os._exit(127)
    handover.close()
    # Closed by a successful execve.
    failure = None if order.kind == "builtin" else _duplicate_above(FAILURE_DESCRIPTOR, FAILURE_DESCRIPTOR)
    os.close(FAILURE_DESCRIPTOR)
    become_component(order, failure)


def split_address(address: str) -> "tuple[str, int]":
    """`host:port` with a numeric loopback host, IPv6 in brackets."""
    host, _, port = address.rpartition(":")
    host = host.strip("[]")
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def _receive_listener(own: "Any") -> "tuple[bool, int | None, int]":
    """Whether the sandbox is ready, its listening socket, and the number of a process of it."""
    import _socket  # noqa: PLC0415

    try:
        word, ancillary, _, _ = own.recvmsg(8, _socket.CMSG_SPACE(4) + _socket.CMSG_SPACE(12))
    except ConnectionResetError:
        return False, None, 0
    listener, speaker = None, 0
    for level, kind, data in ancillary:
        if (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_RIGHTS):
            listener = int.from_bytes(data[:4], sys.byteorder)
        elif (level, kind) == (_socket.SOL_SOCKET, _socket.SCM_CREDENTIALS):
            speaker = int.from_bytes(data[:4], sys.byteorder)
    return bool(word), listener, speaker


def _open_routes(order: Order, speaker: int) -> bool:
    """Open the other ways out of the sandbox that the process `speaker` is in; False, and said so, if that fails."""
    from embedded_scheduler.runners.netns import NoEntryError, listeners  # noqa: PLC0415 - few attempts have any

    ways = [way.split(" ", 2) for way in order.routes]
    try:
        made = listeners(speaker, [(host, int(port)) for host, port, _ in ways])
    except (NoEntryError, OSError) as fault:
        names = ", ".join(target for _, _, target in ways)
        text = f"nodeconsole: error: the way to {names} cannot be opened in the sandbox ({fault})\n"
        _write_all(1, text.encode("utf-8", "replace"))
        return False
    for each, (_, _, target) in zip(made, ways, strict=True):
        start_relay(each.detach(), target)
    return True


def start_relay(listener: int, node: str) -> None:
    """A process of this session that serves the sandbox's socket; it goes with the session, or with this process."""
    if os.fork() == 0:
        try:
            _control_process(_DIE_WITH_PARENT, KILL)
            os.close(LOCK_DESCRIPTOR)
            os.dup2(listener, LOCK_DESCRIPTOR)
            os.closerange(LOCK_DESCRIPTOR + 1, 256)
            from embedded_scheduler.runners.relay import serve  # noqa: PLC0415 - only a sandbox needs one

            serve(LOCK_DESCRIPTOR, *split_address(node))
        finally:
            os._exit(0)
    os.close(listener)


def _ending_of(child: int, killed: int, *, contained: bool = True) -> Ending:
    """Wait for it. `killed` = how many processes the kernel had killed for memory before it began."""
    _, word, used = os.wait4(child, 0)
    status = os.waitstatus_to_exitcode(word)
    # The sandbox passes a signal on as shells do.
    number = -status if status < 0 else status - 128 if contained and status in _BY_SIGNAL else None
    peak = used.ru_maxrss * 1024
    if number is None:
        return Ending(code=status, peak=peak)
    return Ending(signal=number, peak=peak, starved=number == KILL and _killed_for_memory() > killed)


def _killed_for_memory() -> int:
    """How many processes of this machine the kernel has killed since boot because memory ran out."""
    for line in _read("/proc/vmstat").splitlines():
        if line.startswith(b"oom_kill "):
            return int(line[9:])
    return 0


def _duplicate_above(descriptor: int, limit: int) -> int:
    import fcntl  # noqa: PLC0415

    return fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, limit + 1)


def _read_descriptor(descriptor: int) -> bytes:
    content = b""
    while piece := os.read(descriptor, 1 << 16):
        content += piece
    return content


def discard_inputs() -> None:
    """The links to what the component read must not keep a deleted result on the disk."""
    try:
        names = os.listdir(INPUTS)
    except FileNotFoundError:
        return
    for name in names:
        os.unlink(f"{INPUTS}/{name}")


def become_component(order: Order, failure: int | None) -> "NoReturn":
    _control_process(_NO_NEW_PRIVILEGES, 1)
    os.close(LOCK_DESCRIPTOR)
    if not order.sandbox:
        os.chdir(WORK)
    for number in _DEFERRED:
        _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, _DEFERRED)
    _limit(order)
    if failure is None:
        _leave(_run_builtin(order))
    program = [order.target] if order.kind == "exec" else [order.python, "-m", order.target]
    # Python ignores these two for itself, and what is ignored stays ignored across execve.
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGXFSZ, _signal.SIG_DFL)
    try:
        os.execve(program[0], program, order.environment)  # noqa: S606 - no shell is wanted
    except OSError as error:
        _write_all(1, f"nodeconsole: {program[0]} could not be started: {os.strerror(error.errno or 0)}\n".encode())
        os.write(failure, str(error.errno or 0).encode())
    os._exit(127)


def adopt_orphans() -> None:
    """Whatever a component starts stays below this process, also in a session of its own."""
    _control_process(_ADOPT_ORPHANS, 1)


def _control_process(option: int, value: int) -> None:
    """`prctl(option, value, 0, 0, 0)`. Through the C half of `ctypes`: the other half costs as much as a component."""
    try:
        import _ctypes  # noqa: PLC0415
    except ImportError:
        # An interpreter built without it; the node's `doctor` says so.
        return

    class Integer(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "i"

    class Unsigned(_ctypes._SimpleCData):  # type: ignore[type-arg]
        _type_ = "L"

    class Function(_ctypes.CFuncPtr):
        _flags_ = _ctypes.FUNCFLAG_CDECL
        _restype_ = Integer
        _argtypes_ = (Integer, Unsigned, Unsigned, Unsigned, Unsigned)

    prctl = Function(_ctypes.dlsym(_ctypes.dlopen(None, 0), "prctl"))  # type: ignore[arg-type]
    prctl(option, value, 0, 0, 0)


def _limit(order: Order) -> None:
    import resource  # noqa: PLC0415 - the parent half does without

    limits = (
        # A core file would hold the party's data and the attempt's token.
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_AS, order.memory_bytes),
        (resource.RLIMIT_FSIZE, order.disk_bytes),
    )
    for kind, wanted in limits:
        if kind != resource.RLIMIT_CORE and not wanted:
            continue
        highest = resource.getrlimit(kind)[1]
        value = wanted if highest == resource.RLIM_INFINITY else min(wanted, highest)
        resource.setrlimit(kind, (value, value))
    cores = sorted(os.sched_getaffinity(0))
    if 0 < order.cpu < len(cores):
        # Spread attempts over the cores instead of stacking all of them on the first.
        # (Within a sandbox all have the same process number.)
        first = (sum(os.fsencode(order.log)) if order.sandbox else os.getpid()) % len(cores)
        os.sched_setaffinity(0, {cores[(first + i) % len(cores)] for i in range(order.cpu)})


def _run_builtin(order: Order) -> int:
    os.environ.clear()
    os.environ.update(order.environment)
    sys.path[:] = order.path
    sys.argv[:] = [order.target]
    # Whoever follows the log sees a line when it is printed, as on a terminal.
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    try:
        component = __import__(f"{order.package}.{order.target}.component", fromlist=["main"])
        return _exit_code(component.main())
    except SystemExit as leaving:
        return _exit_code(leaving.code)
    except Exception as error:  # noqa: BLE001 - the component's fault, whatever it is, belongs into its log
        if error.__traceback__ is not None:
            # This function's own frame tells the component's author nothing.
            error = error.with_traceback(error.__traceback__.tb_next)
        sys.excepthook(type(error), error, error.__traceback__)
        return 1


def _exit_code(result: object) -> int:
    """As the interpreter understands `sys.exit(result)`."""
    if result is None:
        return 0
    if isinstance(result, int):
        return result & 0xFF
    sys.stderr.write(f"{result}\n")
    return 1


def _leave(code: int) -> "NoReturn":
    """Wind down like the interpreter, but leave the memory to the kernel.

    Threads are joined, exit handlers run, output is flushed; files that a component left open are not. Freeing what
    was shared by the fork copies it page by page: 4 ms, a quarter of a short attempt.
    """
    threading = sys.modules.get("threading")
    if threading is not None:
        threading._shutdown()
    atexit._run_exitfuncs()
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    except (OSError, ValueError):
        # Output was lost (disk full) or the component closed its output; 120 is what the interpreter says then.
        code = code or 120
    os._exit(code)


def end_leftovers(session: int) -> None:
    """The attempt is over with its main process: end what else still runs in the session, or was moved out of it."""
    beyond_reach = {os.getpid()}
    deadline = time.monotonic() + _PATIENCE_FOR_LEFTOVERS_S
    while True:
        remaining = {*session_members(session), *_descendants()} - beyond_reach
        if not remaining or time.monotonic() > deadline:
            return
        for pid in remaining:
            try:
                os.kill(pid, KILL)
            except ProcessLookupError:
                continue
            except PermissionError:
                # A set-user-id program under another user: nothing this user can do.
                beyond_reach.add(pid)
        time.sleep(0.002)


def when_there_is_room(write: "Callable[[], None]", patience_s: int) -> None:
    """A full disk must not cost the exit status: try again until there is room, within reason."""
    for _ in range(patience_s):
        try:
            write()
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            time.sleep(1)
        else:
            return


def _ends_inside_a_line(descriptor: int) -> bool:
    # Opened anew: the log's descriptor is for appending only.
    reading = os.open(f"/proc/self/fd/{descriptor}", os.O_RDONLY)
    try:
        size = os.fstat(reading).st_size
        return size > 0 and os.pread(reading, 1, size - 1) != b"\n"
    finally:
        os.close(reading)


def status_fields(pid: int) -> list[bytes] | None:
    """Fields of /proc/<pid>/stat from the third (the state) on; the second may hold blanks and parentheses."""
    try:
        raw = _read(f"/proc/{pid}/stat")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return raw[raw.rindex(b")") + 2 :].split()


def _read(path: str) -> bytes:
    with open(path, "rb", buffering=0) as file:
        return file.read()


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]
