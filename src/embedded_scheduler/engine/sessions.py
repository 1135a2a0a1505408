"""Who may use a channel session: what the channel asks the engine."""

from __future__ import annotations

from embedded_scheduler.engine.ports import PartnerDirectory
from embedded_scheduler.security.secrets import is_kept
from embedded_scheduler.store import attempts, jobs
from embedded_scheduler.store.database import Database, Reader


class SessionPolicy:
    """Answers from the attempts and jobs of this node, and from its list of partners."""

    def __init__(self, db: Database, directory: PartnerDirectory) -> None:
        self._db = db
        self._directory = directory

    def knows_partner(self, node_id: str) -> bool:
        return self._directory.knows(node_id)

    async def authorise(self, session_id: str, token: str) -> bool:
        """Whether `token` belongs to an attempt of this session that has not ended."""
        found = await self._db.read(lambda reader: attempts.of_session(reader, session_id))
        return any(a.ended_ms is None and is_kept(token, a.token_hash) for a in found)

    async def session_members(self, session_id: str) -> frozenset[str] | None:
        """The nodes of the session's job, or None when no job of this node has that session."""

        def look(reader: Reader) -> frozenset[str] | None:
            job_id = self._job_of(reader, session_id)
            spec = jobs.spec(reader, job_id) if job_id else None
            return None if spec is None else frozenset(spec.nodes)

        return await self._db.read(look)

    def _job_of(self, reader: Reader, session_id: str) -> str | None:
        found = attempts.of_session(reader, session_id)
        if found:
            return found[0].job_id
        # Before the first attempt: the name tells, in every style in use.
        for name in (session_id, session_id.removeprefix("session_")):
            if jobs.head(reader, name) is not None:
                return name
            task = jobs.task_by_id(reader, name)
            if task is not None:
                return task[0]
        return None
