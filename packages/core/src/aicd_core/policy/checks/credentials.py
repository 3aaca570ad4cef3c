"""Rules on credentials in added lines."""

from collections.abc import Iterator

from aicd_core.policy.case import Case, Objection


def secret(case: Case) -> Iterator[Objection]:
    for hit in case.hits:
        if hit.certain:
            yield Objection(
                f"This added line holds {hit.kind}.",
                "Read it from the environment or a secret store. If it is a real one, revoke it now: the model and "
                "the job's log have seen it. If a test needs one of this shape, put it together at run time.",
                hit.path,
                hit.line,
            )


def possible_secret(case: Case) -> Iterator[Objection]:
    for hit in case.hits:
        if not hit.certain:
            yield Objection(
                f"This added line holds what may be {hit.kind}.",
                "Look at the line: if it is a credential, take it out and revoke it.",
                hit.path,
                hit.line,
            )
