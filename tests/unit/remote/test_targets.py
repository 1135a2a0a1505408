"""How nodes are named, and that no name can become an option, a command or another machine."""

from __future__ import annotations

import os
import shlex
import stat
import subprocess
from pathlib import Path

import pytest

from nodeconsole.remote.contexts import (
    Context,
    Contexts,
    ContextsFault,
    check_context,
    check_name,
    contexts_file,
    find_place,
    read_contexts,
    write_contexts,
)
from nodeconsole.remote.target import BadTarget, Place, SshTarget, parse_ssh


@pytest.mark.parametrize(
    ("text", "target"),
    [
        ("ssh://host", SshTarget("host")),
        ("ssh://host/", SshTarget("host")),
        ("ssh://li@bank-a.example:2222/var/lib/node", SshTarget("bank-a.example", "li", 2222, "/var/lib/node")),
        ("ssh://host/~/my%20node", SshTarget("host", home="~/my node")),
        ("ssh://[fe80::1%eth0]:22/x", SshTarget("fe80::1%eth0", port=22, home="/x")),
        ("ssh://DOMAIN+li@host", SshTarget("host", "DOMAIN+li")),
    ],
)
def test_an_address_is_read_and_written_back(text: str, target: SshTarget) -> None:
    found = parse_ssh(text)
    assert found == target
    assert parse_ssh(str(found)) == found


@pytest.mark.parametrize(
    "text",
    [
        "ssh://",
        "ssh:///home",
        "ssh://-oProxyCommand=touch+x",
        "ssh://-host/x",
        "ssh://li@-host",
        "ssh://-li@host",
        "ssh://li:secret@host",
        "ssh://ho st",
        "ssh://ho'st",
        "ssh://ho$(id)st",
        "ssh://`id`@host",
        "ssh://host;id",
        "ssh://host:0",
        "ssh://host:65536",
        "ssh://host:22:22",
        "ssh://fe80::1",
        "ssh://host\n",
        "ssh://host/a%0ab",
        "ssh://host/a%00b",
        "ssh://хост",
    ],
)
def test_what_could_be_read_as_something_else_is_refused(text: str) -> None:
    with pytest.raises(BadTarget):
        parse_ssh(text)


@pytest.mark.parametrize("program", ["", "  ", "-x", "'", "a\nb"])
def test_a_remote_program_names_something(program: str) -> None:
    with pytest.raises(BadTarget):
        Place(find_place("ssh://host", Contexts(), program or " ").where)


def test_the_host_is_never_an_option_and_the_remote_words_are_one_argument() -> None:
    words = parse_ssh("ssh://li@host:22/x y").ssh(batch=True)
    assert words[words.index("--") + 1 :][0] == "host"
    assert len(words[words.index("--") + 1 :]) == 2
    assert "BatchMode=yes" in words
    assert "BatchMode=yes" not in parse_ssh("ssh://host").ssh(batch=False)


@pytest.mark.parametrize(
    "home", ["/plain", "/a b", "/it's", '/"quoted"', "/$(touch hacked)", "/`id`", "/a;b&c|d>e", "/样本"]
)
def test_the_remote_shell_passes_the_home_on_as_it_is(home: str, tmp_path: Path) -> None:
    program = tmp_path / "my program"
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@"\n')
    program.chmod(0o755)
    command = SshTarget("host", home=home, program=shlex.join([str(program), "two words"])).bridge_command()
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.splitlines() == ["two words", "bridge", "--home", home]
    assert not (tmp_path / "hacked").exists()


def test_the_remote_program_may_lie_in_the_remote_users_home(tmp_path: Path) -> None:
    program = tmp_path / ".local" / "bin" / "nodeconsole"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho found\n")
    program.chmod(0o755)
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    for named in ("~/.local/bin/nodeconsole", "nodeconsole"):
        command = SshTarget("host", program=named).bridge_command()
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True, env=environment)
        assert done.stdout == "found\n"


def test_contexts_are_kept_for_their_owner_only(tmp_path: Path) -> None:
    path = contexts_file({"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert read_contexts(path) == Contexts()
    kept = Contexts(
        "prod",
        {
            "prod": Context("ssh://li@host/x", "mono", read_only=True, remote_program="sudo -u node nodeconsole"),
            "a.b-\u6837": Context('/home/"quoted"\\'),
        },
    )
    write_contexts(path, kept)
    assert read_contexts(path) == kept
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]
    path.chmod(0o620)
    with pytest.raises(ContextsFault, match="others may write"):
        read_contexts(path)


@pytest.mark.parametrize(
    "text",
    [
        "current = 3",
        "other = 1",
        "[contexts.a]\ntheme = 'x'",
        "[contexts.a]\nnode = 'x'\nreadonly = true",
        "[contexts.a]\nnode = 'x'\nread_only = 'yes'",
        "contexts = 3",
        "not toml",
    ],
)
def test_a_context_file_with_a_fault_is_not_half_used(text: str, tmp_path: Path) -> None:
    path = tmp_path / "contexts.toml"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ContextsFault, match=r"contexts\.toml"):
        read_contexts(path)


def test_a_node_is_found_by_name_address_or_path(tmp_path: Path) -> None:
    contexts = Contexts("", {"prod": Context("ssh://host/x", "mono", True, "prog"), "here": Context(str(tmp_path))})
    assert find_place("prod", contexts) == Place(SshTarget("host", home="/x", program="prog"), "prod", "mono", True)
    assert find_place("prod", contexts, "other").where == SshTarget("host", home="/x", program="other")
    assert find_place("here", contexts) == Place(tmp_path / "node.sock", "here")
    assert find_place(str(tmp_path), contexts) == Place(tmp_path / "node.sock")
    assert find_place("/run/x.sock", contexts) == Place(Path("/run/x.sock"))
    with pytest.raises(BadTarget, match="known are prod, here"):
        find_place("test", contexts)


def test_a_context_cannot_stand_for_another_context() -> None:
    with pytest.raises(BadTarget):
        check_context(Context("prod"))
    for name in ("", "-x", "a b", "a/b", "ssh://x", "x" * 65):
        with pytest.raises(BadTarget):
            check_name(name)
