"""SQL of budgets. A call's worst case is held back in the transaction that finds room for it, one at a time."""

from sqlalchemy import ARRAY, BigInteger, Executable, String, Uuid, bindparam, text

from aicd_core.db.calls import Call, Prepared
from aicd_core.db.sessions import Courier, ReadSession, Rows, WriteSession
from aicd_core.ids import JobId
from aicd_core.tenancy import Tenant
from aicd_core.usage.budgets.values import Budget, Hold, Scope
from aicd_core.usage.subjects import subjects_of

_BUDGETS = f"""
    of_job AS (
        SELECT j.*, r.source, o.slug, s.issue_budget, s.repository_budget, s.monthly_budget, n.cost_limit AS cap,
            r.issue_budget AS own_issue, r.monthly_budget AS own_month
        FROM jobs j
        JOIN repositories r ON r.org_id = j.org_id AND r.id = j.repository_id
        JOIN organizations o ON o.id = j.org_id
        LEFT JOIN organization_settings s ON s.org_id = j.org_id
        LEFT JOIN standings n ON n.org_id = j.org_id
        WHERE j.org_id = :of_tenant AND j.id = :job_id AND j.lease_owner = :owner
    ), holds AS (
        SELECT h.micro_usd, j.id, j.repository_id, j.issue_key
        FROM reservations h
        JOIN jobs j ON j.org_id = h.org_id AND j.id = h.job_id AND j.lease_owner = h.owner
        WHERE h.org_id = :of_tenant AND NOT (h.job_id = :job_id AND h.entry_key = :key)
    ), binding AS (
        SELECT j.slug, j.source, s.nth, s.scope, s.subject, b.most, b.own, (
            SELECT CAST(coalesce(sum(h.micro_usd), 0) AS bigint) FROM holds h
            WHERE (s.scope = 'organization' OR h.repository_id = j.repository_id)
                AND (s.scope <> 'issue' OR h.issue_key = j.issue_key) AND (s.scope <> 'job' OR h.id = j.id)
        ) AS held
        FROM of_job j
        CROSS JOIN LATERAL ({subjects_of("j", "now()")}) AS s (nth, scope, subject)
        CROSS JOIN LATERAL (SELECT
            CASE s.scope
                WHEN 'job' THEN j.cost_limit
                WHEN 'issue' THEN least(j.issue_budget, j.own_issue)
                WHEN 'repository' THEN least(j.repository_budget, j.own_month)
                ELSE least(j.monthly_budget, j.cap)
            END AS most,
            CASE s.scope
                WHEN 'issue' THEN j.own_issue < j.issue_budget OR j.issue_budget IS NULL AND j.own_issue IS NOT NULL
                WHEN 'repository' THEN
                    j.own_month < j.repository_budget OR j.repository_budget IS NULL AND j.own_month IS NOT NULL
                WHEN 'organization' THEN j.cap < j.monthly_budget OR j.monthly_budget IS NULL AND j.cap IS NOT NULL
            END IS TRUE AS own
        ) AS b
    ), budgets AS (
        SELECT b.*, coalesce(p.micro_usd, 0) AS spent,
            b.most IS NULL OR b.most - coalesce(p.micro_usd, 0) - b.held >= :amount AS fits
        FROM binding b LEFT JOIN spending p ON p.org_id = :of_tenant AND p.subject = b.subject
    )"""
"""Of a job whose lease the caller has: none, if it has not. `least` passes over what is null."""

_ROWS = "SELECT scope, most, spent, held, fits, own, slug, source FROM budgets ORDER BY nth"


def _bound(statement: str) -> Executable:
    return text(statement).bindparams(
        bindparam("of_tenant", type_=Uuid()),
        bindparam("job_id", type_=Uuid()),
        bindparam("owner", type_=String()),
        bindparam("key", type_=String()),
        bindparam("amount", type_=BigInteger()),
    )


_LIST = Prepared(lambda _: _bound(f"WITH {_BUDGETS} {_ROWS}"))


async def list_budgets(session: ReadSession | Courier, tenant: Tenant, job_id: JobId, owner: str) -> list[Budget]:
    """The budgets of each scope that bind a job; none when `owner` does not have its lease."""
    return _budgets(await session.call(Call.of(_LIST, tenant, job_id=job_id, owner=owner, key="", amount=0)))


_LOCK = Prepared(
    lambda _: text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:of_tenant AS text), 7))").bindparams(
        bindparam("of_tenant", type_=Uuid())
    )
)
_FREE = Prepared(
    lambda _: text(
        """
        DELETE FROM reservations h
        WHERE h.org_id = :of_tenant AND (
            h.job_id = :job_id AND h.owner = :owner AND NOT h.entry_key = ANY(:under_way)
            OR NOT EXISTS (
                SELECT FROM jobs j WHERE j.org_id = h.org_id AND j.id = h.job_id AND j.lease_owner = h.owner
            )
        )
        RETURNING h.id
        """
    ).bindparams(
        bindparam("of_tenant", type_=Uuid()),
        bindparam("job_id", type_=Uuid()),
        bindparam("owner", type_=String()),
        bindparam("under_way", type_=ARRAY(String())),
    )
)
_RESERVE = Prepared(
    lambda _: _bound(
        f"""
        WITH {_BUDGETS}, made AS (
            INSERT INTO reservations (org_id, job_id, entry_key, owner, micro_usd)
            SELECT org_id, id, :key, :owner, :amount FROM of_job
            WHERE :amount > 0 AND NOT EXISTS (SELECT FROM budgets WHERE NOT fits)
            ON CONFLICT (org_id, job_id, entry_key)
            DO UPDATE SET owner = excluded.owner, micro_usd = excluded.micro_usd
        )
        {_ROWS}
        """
    )
)


async def reserve(session: WriteSession | Courier, tenant: Tenant, job_id: JobId, hold: Hold) -> list[Budget]:
    """Holds the worst case of a call back, if it fits into every budget; the budgets as they were before.

    One at a time in an organization: the lock, then statements that see what whoever had it before committed. What is
    held back for nobody any more (a worker that died, a call that failed) is freed on the way.

    Returns:
        as `list_budgets`; nothing was held back unless all of them fit.
    """
    whose = {"job_id": job_id, "owner": hold.owner}
    return _budgets(
        await session.call(
            Call.of(_LOCK, tenant),
            Call.of(_FREE, tenant, **whose, under_way=[*hold.under_way, hold.entry_key]),
            Call.of(_RESERVE, tenant, **whose, key=hold.entry_key, amount=hold.micro_usd),
        )
    )


def _budgets(rows: Rows) -> list[Budget]:
    return [Budget(Scope(scope), *rest) for scope, *rest in rows]
