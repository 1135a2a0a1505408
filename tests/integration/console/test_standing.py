"""What the node's status says all the time: warnings, what waits for a person, what the caller may do."""

from __future__ import annotations

from pathlib import Path

from tests.support.hosted import hosted, started

from embedded_scheduler.home import Home
from embedded_scheduler.provision import provision
from embedded_scheduler.wire.console import PeerRequest

_SETTINGS = "platform.trust_loopback = true\n"


async def test_warnings_stand_in_the_status_in_the_words_of_doctor(tmp_path: Path) -> None:
    async with hosted(tmp_path, settings=_SETTINGS) as node, node.client() as client:
        before = {(warning.check, warning.subject) for warning in (await client.status()).warnings}
        assert ("platform", "") in before
        assert not {check for check, _ in before} & {"unsigned", "plain_http"}
        partners = {
            "carl": "https://carl.example:443",
            "dave": "http://10.0.9.1:9380",
            "erin": "http://127.0.0.1:9380",
        }
        for name, url in partners.items():
            await client.add_peer(PeerRequest(node_id=name, url=url, signing="off"))
        status = await client.status()
        found = {(warning.check, warning.subject) for warning in status.warnings}
        assert found - before == {("plain_http", "dave"), *(("unsigned", name) for name in partners)}
        findings = (await client.doctor()).findings
        assert all(warning in findings for warning in status.warnings)
        assert all(warning.fix for warning in status.warnings)
        assert status.actions == ["invite", "join", "register", "submit"]
        for name in partners:
            await client.remove_peer(name)
        assert {(warning.check, warning.subject) for warning in (await client.status()).warnings} == before


async def test_plain_http_beyond_loopback_is_a_warning(tmp_path: Path) -> None:
    home = Home(tmp_path)
    provision(home, node_id="alice", listen="0.0.0.0:0", platform="127.0.0.1:0", tls="off")
    home.settings_file.write_text(home.settings_file.read_text() + "\npartner.allow_plain_http = true\n")
    async with started(home) as node, node.client() as client:
        found = [warning for warning in (await client.status()).warnings if warning.check == "plain_http"]
        assert [(warning.subject, warning.level) for warning in found] == [(node.running.listen, "warning")]
