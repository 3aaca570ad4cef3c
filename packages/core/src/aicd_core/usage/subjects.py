"""Under which subjects an entry of the ledger is summed up, as SQL: the one place that names them."""


def subjects_of(job: str, when: str) -> str:
    """Rows of a number, a scope and a subject: the sums that an entry of a job counts in.

    Always in the same order, so that two transactions that add to the same sums never wait for each other.

    Args:
        job: what the job's row is called in the statement.
        when: the time of the entry; months are those of UTC.
    """
    month = f"to_char(timezone('UTC', {when}), 'YYYY-MM')"
    return f"""VALUES
            (1, 'job', 'job/' || {job}.id),
            (2, 'issue', 'issue/' || {job}.repository_id || '/' || {job}.issue_key),
            (3, 'repository', 'repository/' || {job}.repository_id || '/' || {month}),
            (4, 'organization', 'organization/' || {month})"""
