"""SQL of sub-results. Every function sees one tenant's rows only; none commits."""

from collections.abc import Sequence

from sqlalchemy import Executable, Integer, LargeBinary, String, Uuid, bindparam, literal_column, or_, select
from sqlalchemy.dialects.postgresql import insert

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import Courier, ReadSession, WriteSession
from aicd_core.ids import JobId
from aicd_core.jobs.models import Artifact, ArtifactKind, Job
from aicd_core.tenancy import Tenant, mine


def _artifact(tenant: Tenant) -> Executable:
    columns = ["org_id", "job_id", "kind", "round", "content"]
    kind, number = bindparam("kind", type_=String()), bindparam("number", type_=Integer())
    guarded = select(Job.org_id, Job.id, kind, number, bindparam("content", type_=LargeBinary())).where(
        mine(Job, tenant),
        Job.id == bindparam("job_id", type_=Uuid()),
        Job.lease_owner == bindparam("owner", type_=String()),
    )
    new = insert(Artifact).from_select(columns, guarded)
    return new.on_conflict_do_nothing(index_elements=["org_id", "job_id", "kind", "round"]).returning(Artifact.id)


_ARTIFACT = Prepared(_artifact)


async def store_artifact(
    session: WriteSession | Courier,
    tenant: Tenant,
    job_id: JobId,
    owner: str,
    kind: ArtifactKind,
    number: int,
    content: bytes,
) -> None:
    """Keeps a sub-result for the holder of the job's lease; the first one stored for a round stays.

    Somebody who lost the lease stores nothing.
    """
    of_round = {"kind": kind.value, "number": number, "content": content}
    await session.call(Call.of(_ARTIFACT, tenant, job_id=job_id, owner=owner, **of_round))


def _newest_artifact(tenant: Tenant) -> Executable:
    number = bindparam("number", type_=Integer())
    return (
        select(Artifact.content)
        .where(
            mine(Artifact, tenant),
            Artifact.job_id == bindparam("job_id", type_=Uuid()),
            Artifact.kind == bindparam("kind", type_=String()),
            or_(number.is_(None), Artifact.round == number),
        )
        .order_by(Artifact.round.desc())
        .limit(literal_column("1"))
    )


_NEWEST_ARTIFACT = Prepared(_newest_artifact)


async def get_artifact(
    session: ReadSession | Courier, tenant: Tenant, job_id: JobId, kind: ArtifactKind, number: int | None = None
) -> bytes | None:
    """A stored sub-result of one round, or the newest of its kind when no round is named."""
    rows = await session.call(Call.of(_NEWEST_ARTIFACT, tenant, job_id=job_id, kind=kind.value, number=number))
    return bytes(rows[0][0]) if rows else None


_ALL_ARTIFACTS = Prepared(
    lambda tenant: select(Artifact.kind, Artifact.round, Artifact.content).where(
        mine(Artifact, tenant),
        Artifact.job_id == bindparam("job_id", type_=Uuid()),
        Artifact.kind != literal_column(f"'{ArtifactKind.TEST_LOGS.value}'"),
    )
)


async def get_artifacts(
    session: ReadSession | Courier, tenant: Tenant, job_id: JobId
) -> dict[tuple[ArtifactKind, int], bytes]:
    """All stored sub-results of a job, by kind and round, but for the logs, which are large and no step reads."""
    rows = await session.call(Call.of(_ALL_ARTIFACTS, tenant, job_id=job_id))
    return {(ArtifactKind(kind), number): bytes(content) for kind, number, content in rows}


async def list_artifacts(
    session: ReadSession, tenant: Tenant, job_id: JobId, kind: ArtifactKind
) -> Sequence[tuple[int, bytes]]:
    """All stored sub-results of a kind with their round, oldest first."""
    query = (
        select(Artifact.round, Artifact.content)
        .where(mine(Artifact, tenant), Artifact.job_id == job_id, Artifact.kind == kind)
        .order_by(Artifact.round)
    )
    return [(number, content) for number, content in await session.execute(query)]
