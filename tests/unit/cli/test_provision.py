"""Creating a home: whole or not at all, repeatable, never over somebody else's."""

from __future__ import annotations

import re
import stat
import tomllib
from pathlib import Path

import pytest

from embedded_scheduler.addresses import Address, parse_address, parse_loopback
from embedded_scheduler.config import Settings, load_settings
from embedded_scheduler.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unavailable
from embedded_scheduler.home import Home
from embedded_scheduler.provision import TEMPLATE, default_node_id, provision
from embedded_scheduler.security.secrets import create_secret, is_kept, kept_of, read_secret


def test_a_new_home_is_complete_and_private(tmp_path: Path) -> None:
    home = Home(tmp_path / "deep" / "node")
    done = provision(home, node_id="alice", listen="0.0.0.0:9000", platform="[::1]:9001")
    assert done.settings == load_settings(home)
    assert (done.settings.node_id, done.settings.partner.listen, done.settings.platform.listen) == (
        "alice",
        "0.0.0.0:9000",
        "[::1]:9001",
    )
    for path in (home.path, home.logs, home.runs, home.storage, home.channel, home.backups):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700
    for path in (home.settings_file, home.data_key):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert len(read_secret(home.data_key)) >= 43
    assert not home.platform_token.exists()
    assert not list(home.path.glob("*.new"))


def test_the_same_call_again_changes_nothing(tmp_path: Path) -> None:
    home = Home(tmp_path)
    provision(home, node_id="alice")
    before = {path: path.read_bytes() for path in (home.settings_file, home.data_key)}
    assert provision(home, node_id="alice").created == ()
    assert provision(home).created == ()
    assert {path: path.read_bytes() for path in before} == before


def test_what_an_interrupted_call_left_is_completed(tmp_path: Path) -> None:
    home = Home(tmp_path)
    create_secret(home.platform_token, "the-token")
    home.logs.mkdir()
    (tmp_path / "node.toml.0123.new").write_text("half")
    done = provision(home, node_id="alice")
    assert "node.toml" in done.created
    assert "platform.token" not in done.created
    assert read_secret(home.platform_token) == "the-token"


def test_a_lost_key_is_made_again(tmp_path: Path) -> None:
    home = Home(tmp_path)
    provision(home, node_id="alice")
    home.data_key.unlink()
    with pytest.raises(NotFound, match="nodeconsole init"):
        read_secret(home.data_key)
    assert provision(home).created == ("data.key",)


@pytest.mark.parametrize(
    "asked",
    [{"node_id": "bob"}, {"listen": "127.0.0.1:1"}, {"platform": "127.0.0.1:1"}],
    ids=lambda asked: next(iter(asked)),
)
def test_another_identity_is_refused(tmp_path: Path, asked: dict[str, str]) -> None:
    home = Home(tmp_path)
    provision(home, node_id="alice")
    before = home.settings_file.read_bytes()
    with pytest.raises(Conflict):
        provision(home, **asked)
    assert home.settings_file.read_bytes() == before


def test_a_directory_with_other_files_does_not_become_a_node(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("dear")
    mode = tmp_path.stat().st_mode
    with pytest.raises(Conflict, match=r"letter\.txt"):
        provision(Home(tmp_path), node_id="alice")
    assert [entry.name for entry in tmp_path.iterdir()] == ["letter.txt"]
    assert tmp_path.stat().st_mode == mode


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot create the node"):
        provision(Home(tmp_path / "file" / "node"), node_id="alice")


@pytest.mark.parametrize(
    ("asked", "word"),
    [
        ({"node_id": "a b"}, "node id"),
        ({"node_id": "x" * 129}, "node id"),
        ({"node_id": 'a"\nb = 1'}, "node id"),
        ({"listen": "nothing"}, "--listen"),
        ({"listen": "host:70000"}, "--listen"),
        ({"platform": "0.0.0.0:9381"}, "--platform"),
        ({"listen": "127.0.0.1:9", "platform": "127.0.0.1:9"}, "both"),
    ],
)
def test_bad_values_are_refused_before_anything_is_written(tmp_path: Path, asked: dict[str, str], word: str) -> None:
    home = Home(tmp_path / "node")
    with pytest.raises(InvalidRequest, match=word):
        provision(home, **{"node_id": "alice"} | asked)
    assert not home.path.exists()


def test_the_template_shows_every_setting_with_its_default() -> None:
    text = TEMPLATE.format(node_id="n", listen="127.0.0.1:9380", platform="127.0.0.1:9381")
    uncommented = re.sub(r"^# ([a-z_.]+ = )", r"\1", text, flags=re.MULTILINE)
    shown = Settings.model_validate(tomllib.loads(uncommented))
    assert shown == Settings(node_id="n", inst_id="n")
    names = set(re.findall(r"^(?:# )?([a-z_.]+) = ", text, flags=re.MULTILINE))
    assert names == set(_names(Settings(node_id="n").model_dump()))


def _names(values: dict[str, object], prefix: str = "") -> list[str]:
    found: list[str] = []
    for name, value in values.items():
        found += _names(value, f"{prefix}{name}.") if isinstance(value, dict) else [prefix + name]
    return found


def test_the_default_node_id_is_a_valid_one(tmp_path: Path) -> None:
    assert provision(Home(tmp_path)).settings.node_id == default_node_id()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:9380", Address("127.0.0.1", 9380)),
        ("[::1]:1", Address("::1", 1)),
        ("node.example:0", Address("node.example", 0)),
    ],
)
def test_addresses(text: str, address: Address) -> None:
    assert parse_address(text, "x") == address
    assert str(address) == text


@pytest.mark.parametrize(
    "text",
    ["", ":1", "host", "host:", "host:x", "host:-1", "host:65536", "::1:80", "[host]:80", "a b:1", "h:1\n", "h:１"],
)
def test_bad_addresses(text: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^partner\.listen: "):
        parse_address(text, "partner.listen")


def test_loopback() -> None:
    assert all(parse_loopback(text, "x") for text in ("127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1"))
    for text in ("0.0.0.0:1", "[::]:1", "10.0.0.1:1", "node.example:1"):
        with pytest.raises(InvalidRequest, match="other machines"):
            parse_loopback(text, "x")


def test_a_secret_that_others_can_read_is_not_used(tmp_path: Path) -> None:
    path = tmp_path / "token"
    create_secret(path, "s3cret")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with pytest.raises(Conflict):
        create_secret(path, "other")
    path.chmod(0o640)
    with pytest.raises(Forbidden, match="chmod 600") as refused:
        read_secret(path)
    assert "s3cret" not in refused.value.message
    path.chmod(0o600)
    path.write_text("\n")
    with pytest.raises(InvalidRequest):
        read_secret(path)


def test_a_secret_is_not_created_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "token").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Conflict):
        create_secret(tmp_path / "token", "x")
    assert not (tmp_path / "elsewhere").exists()


def test_secrets_are_compared_whole() -> None:
    kept = kept_of("abc")
    assert is_kept("abc", kept)
    assert "abc" not in kept
    for shown in ("", "ab", "abcd", "\ud800", kept):
        assert not is_kept(shown, kept)
    assert not is_kept("", "")
