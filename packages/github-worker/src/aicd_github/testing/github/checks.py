"""Check runs, commit statuses and the logs of Actions."""

from aicd_github.testing.github.asking import RefusedError
from aicd_github.testing.github.calls import Call, Reply, ref_sha
from aicd_github.testing.github.state import App, CheckRun, Repository

_MOST_ANNOTATIONS = 50


def create_check(call: Call) -> Reply:
    repo = call.repo("checks", "write")
    if call.token.installation is None:
        raise RefusedError(403, "You must authenticate via a GitHub App.")
    sha = call.text("head_sha")
    if ref_sha(repo, f"{sha}^{{commit}}") is None:
        raise RefusedError(422, f"No commit found for SHA: {sha}")
    run = CheckRun(call.token.installation.app.slug, sha, call.text("name"))
    _take(call, run)
    repo.checks.append(run)
    return _shown(call, repo, run, 201)


def update_check(call: Call) -> Reply:
    repo = call.repo("checks", "write")
    run = _find(repo, int(call.path["check_run_id"]))
    if call.token.installation is None or call.token.installation.app.slug != run.app:
        raise RefusedError(
            403, "Invalid app_id `check_run` - check runs can only be changed by the app that made them."
        )
    _take(call, run)
    return _shown(call, repo, run)


def list_checks(call: Call) -> Reply:
    repo = call.repo("checks")
    sha = ref_sha(repo, call.path["ref"]) or call.path["ref"]
    wanted = call.query.get("check_name")
    found = [run for run in repo.checks if run.head_sha == sha and wanted in (None, run.name)]
    shown, headers = call.page([call.shapes.check_run(repo, run, _app(call, run)) for run in found])
    return Reply({"total_count": len(found), "check_runs": shown}, headers=headers)


def get_status(call: Call) -> Reply:
    repo = call.repo("statuses")
    sha = call.path["ref"]
    statuses = repo.statuses.get(sha, [])
    bad = any(status["state"] in ("failure", "error") for status in statuses)
    here = f"{call.shapes.api}/repos/{repo.full_name}/commits/{sha}"
    told = {"state": "failure" if bad else "pending", "sha": sha, "total_count": len(statuses), "statuses": statuses}
    return Reply(told | {"repository": call.shapes.repository(repo), "commit_url": here, "url": f"{here}/status"})


def job_logs(call: Call) -> Reply:
    repo = call.repo("actions")
    run = _find(repo, int(call.path["job_id"]))
    if run.log is None:
        raise RefusedError(404, "Not Found")
    return Reply(None, 302, {"Location": f"{call.shapes.web}/_logs/{run.id}"})


def stored_log(call: Call) -> Reply:
    """What the address behind the redirect gives, to anybody who knows it."""
    for repo in call.world.repositories:
        for run in repo.checks:
            if run.id == int(call.path["job_id"]) and run.log is not None:
                return Reply(run.log, text=True)
    raise RefusedError(404, "Not Found")


def _find(repo: Repository, number: int) -> CheckRun:
    found = next((run for run in repo.checks if run.id == number), None)
    if found is None:
        raise RefusedError(404, "Not Found")
    return found


def _take(call: Call, run: CheckRun) -> None:
    output = call.sent.get("output", {})
    annotations = output.get("annotations", [])
    if len(annotations) > _MOST_ANNOTATIONS:
        raise RefusedError(422, "Invalid request.\n\nNo more than 50 items are allowed; 'annotations'.")
    if output:
        run.output = {name: output.get(name) for name in ("title", "summary", "text")}
        run.annotations += annotations
    run.external_id = call.sent.get("external_id", run.external_id)
    run.conclusion = call.sent.get("conclusion", run.conclusion)
    run.status = "completed" if run.conclusion else call.sent.get("status", run.status)


def _app(call: Call, run: CheckRun) -> App:
    """The app that made a check; one that is not ours, such as `github-actions`, is known by its name only."""
    found = next((app for app in call.world.apps if app.slug == run.app), None)
    return found or call.world.others.setdefault(
        run.app, App(run.app, call.world.user("github", "Organization"), "", {})
    )


def _shown(call: Call, repo: Repository, run: CheckRun, status: int = 200) -> Reply:
    return Reply(call.shapes.check_run(repo, run, _app(call, run)), status)
