"""What Grafana's dashboards show, as data; `make_dashboards.py` writes them as Grafana reads them."""

from dataclasses import dataclass


def grown(counter: str, by: str = "", window: str = "$__range") -> str:
    """By how much a counter grew; a series that was not there before has grown from 0, which increase() leaves out."""
    new = f"({counter} unless {counter} offset {window})"
    return f"sum{f' by ({by}) ' if by else ''}({new} or increase({counter}[{window}]))"


def per_second(counter: str, by: str = "") -> str:
    """How fast a counter grows."""
    return f"sum{f' by ({by}) ' if by else ''}(rate({counter}[$__rate_interval]))"


def quantile(share: float, histogram: str, by: str = "") -> str:
    """So much of what a histogram counted was at most this."""
    names = f"le, {by}" if by else "le"
    return f"histogram_quantile({share}, sum by ({names}) (rate({histogram}_bucket[$__rate_interval])))"


def mean(histogram: str) -> str:
    """The mean of what a histogram counted, over the time that is shown."""
    return f"{grown(f'{histogram}_sum')} / {grown(f'{histogram}_count')}"


@dataclass(frozen=True)
class Panel:
    """One picture: `lines` are an expression and what each of its lines is called."""

    title: str
    unit: str
    lines: tuple[tuple[str, str], ...]
    kind: str = "timeseries"
    source: str = "prometheus"


@dataclass(frozen=True)
class Dashboard:
    """Panels from left to right and downwards. `by_organization`: one may choose organizations, `$org`.

    `about`: a tag beside `aicd`, of what only some installations have.
    """

    uid: str
    title: str
    panels: tuple[Panel, ...]
    by_organization: bool = False
    since: str = "now-6h"
    about: str | None = None


def now(title: str, unit: str, expression: str) -> Panel:
    """One number."""
    return Panel(title, unit, ((expression, ""),), "stat")


def over(title: str, unit: str, *lines: tuple[str, str]) -> Panel:
    """Lines over time."""
    return Panel(title, unit, lines)


def ranked(title: str, unit: str, expression: str, name: str) -> Panel:
    """One bar for each, the longest first."""
    return Panel(title, unit, ((f"sort_desc(topk(20, {expression}))", name),), "bargauge")


STOPS, HTTP, CALLS = "aicd_job_stops_total", "aicd_http_requests_total", "aicd_model_call_seconds_count"
OPERATIONS = Dashboard(
    "aicd-operations",
    "AI-CD: operations",
    (
        now("API servers", "none", 'sum(up{job="aicd-api"})'),
        now("Workers", "none", 'sum(up{job="aicd-worker"})'),
        now("Postgres answers", "none", "max(aicd_database_up)"),
        now("Jobs at work", "none", "sum(aicd_leases_held)"),
        now("Oldest waiting job", "s", "max(aicd_queue_oldest_seconds)"),
        now("Oldest waiting webhook", "s", "max(aicd_deliveries_oldest_seconds)"),
        over("Open jobs", "none", ("max by (state) (aicd_jobs)", "{{state}}")),
        over("Jobs that wait for a worker", "none", ("max by (state) (aicd_queue_jobs)", "{{state}}")),
        over("Jobs at work, by process", "none", ("sum by (instance) (aicd_leases_held)", "{{instance}}")),
        over(
            "Jobs lost to, and freed from, others",
            "none",
            (grown("aicd_leases_lost_total", window="$__rate_interval"), "lost"),
            (grown("aicd_leases_freed_total", window="$__rate_interval"), "freed"),
        ),
        over("Failed jobs", "none", (grown(f'{STOPS}{{event="failed"}}', "code", "1h"), "{{code}}, an hour")),
        over(
            "Steps tried again",
            "none",
            (grown(f'{STOPS}{{event="retry_scheduled"}}', "code", "1h"), "{{code}}, an hour"),
        ),
        over("Paused jobs", "none", (grown(f'{STOPS}{{event="limit_reached"}}', "code", "1h"), "{{code}}, an hour")),
        over("Steps: 19 of 20 take at most", "s", (quantile(0.95, "aicd_step_seconds", "step"), "{{step}}")),
        over(
            "Webhooks handled",
            "ops",
            (per_second("aicd_deliveries_total", "source, outcome"), "{{source}} {{outcome}}"),
        ),
        over(
            "Webhooks taken in",
            "ops",
            (per_second("aicd_deliveries_stored_total", "source, how"), "{{source}} {{how}}"),
        ),
        over("Webhooks that wait", "none", ("max(aicd_deliveries_waiting)", "")),
        over(
            "From webhook to handled",
            "s",
            (quantile(0.5, "aicd_delivery_lag_seconds"), "half"),
            (quantile(0.95, "aicd_delivery_lag_seconds"), "19 of 20"),
        ),
        over("Requests", "reqps", (per_second(HTTP, "status"), "{{status}}")),
        over(
            "Requests with an error of ours",
            "percentunit",
            (per_second(HTTP + '{status=~"5.."}') + " / " + per_second(HTTP), "share"),
        ),
        over(
            "Requests: 19 of 20 take at most",
            "s",
            (quantile(0.95, "aicd_http_request_seconds", "method, route"), "{{method}} {{route}}"),
        ),
        over("Calls of models", "ops", (per_second(CALLS, "model, outcome"), "{{model}} {{outcome}}")),
        over(
            "Calls of models: 19 of 20 take at most",
            "s",
            (quantile(0.95, "aicd_model_call_seconds", "model"), "{{model}}"),
        ),
        over("Commands in sandboxes", "ops", (per_second("aicd_sandbox_commands_total", "outcome"), "{{outcome}}")),
        over(
            "Refused connections of sandboxes",
            "none",
            (grown("aicd_sandbox_denials_total", "instance", "15m"), "{{instance}}, 15 minutes"),
        ),
        over("Free disk", "bytes", ("aicd_data_free_bytes", "{{instance}}")),
        over(
            "Since the last backup, and since the log was shipped",
            "s",
            ("time() - max(aicd_backup_last_success_timestamp_seconds)", "backup"),
            ("time() - max(aicd_backup_wal_timestamp_seconds)", "log"),
            ("time() - max by (store) (aicd_backup_store_last_success_timestamp_seconds > 0)", "{{store}}"),
        ),
        over("What a backup holds", "bytes", ("max(aicd_backup_size_bytes)", "")),
        over("Memory", "bytes", ('process_resident_memory_bytes{job=~"aicd-.*"}', "{{instance}}")),
        over(
            "Processors", "none", ('rate(process_cpu_seconds_total{job=~"aicd-.*"}[$__rate_interval])', "{{instance}}")
        ),
        over("Open files", "none", ('process_open_fds{job=~"aicd-.*"}', "{{instance}}")),
        Panel("Errors in logs", "none", (('{level=~"error|critical"}', ""),), "logs", "loki"),
    ),
)

COST = 'aicd_organization_cost_usd_total{org=~"$org"}'
OPENED = 'aicd_organization_pull_requests_total{org=~"$org"}'
TOKENS = "aicd_model_tokens_total"
COSTS = Dashboard(
    "aicd-costs",
    "AI-CD: cost per tenant",
    (
        now("Cost", "currencyUSD", grown(COST)),
        now("Pull requests", "none", grown(OPENED)),
        now("Cost of a pull request", "currencyUSD", f"{grown(COST)} / {grown(OPENED)}"),
        ranked("Cost, by organization", "currencyUSD", grown(COST, "org"), "{{org}}"),
        ranked("Pull requests, by organization", "none", grown(OPENED, "org"), "{{org}}"),
        ranked(
            "Cost of a pull request, by organization",
            "currencyUSD",
            f"{grown(COST, 'org')} / ({grown(OPENED, 'org')} > 0)",
            "{{org}}",
        ),
        over("Cost in an hour, by organization", "currencyUSD", (grown(COST, "org", "1h"), "{{org}}")),
        over(
            "Cost in an hour, by model, of all organizations",
            "currencyUSD",
            (grown("aicd_model_cost_usd_total", "model", "1h"), "{{model}}"),
        ),
        over(
            "Tokens in an hour, by model and kind, of all organizations",
            "short",
            (grown(TOKENS, "model, kind", "1h"), "{{model}} {{kind}}"),
        ),
    ),
    by_organization=True,
    since="now-7d",
)

MOVES, READ = "aicd_job_transitions_total", f'{TOKENS}{{kind=~"input|cached_input|cache_write"}}'
FIRST = "aicd_job_rounds_count"
"""Counts each job whose pull request opened, once."""
QUALITY = Dashboard(
    "aicd-quality",
    "AI-CD: quality of the agent",
    (
        now(
            "Merged, of pull requests that a person decided",
            "percentunit",
            grown(MOVES + '{event="merged"}') + " / " + grown(MOVES + '{event=~"merged|closed"}'),
        ),
        now(
            "Pull requests, of jobs that came to an end of their own",
            "percentunit",
            grown(FIRST) + " / (" + grown(FIRST) + " + (" + grown(MOVES + '{event="failed"}') + " or vector(0)))",
        ),
        now("Rounds until the pull request, in the mean", "none", mean("aicd_job_rounds")),
        now(
            "Time at work until the pull request, half",
            "s",
            f"histogram_quantile(0.5, {grown('aicd_job_seconds_to_pull_request_bucket', 'le')})",
        ),
        now("Cost of a pull request", "currencyUSD", f"{grown('aicd_model_cost_usd_total')} / {grown(FIRST)}"),
        now("Tokens read from the cache", "percentunit", grown(TOKENS + '{kind="cached_input"}') + " / " + grown(READ)),
        over(
            "Time at work until the pull request",
            "s",
            (quantile(0.5, "aicd_job_seconds_to_pull_request"), "half"),
            (quantile(0.95, "aicd_job_seconds_to_pull_request"), "19 of 20"),
        ),
        ranked("Jobs with at most so many rounds", "none", grown("aicd_job_rounds_bucket", "le"), "{{le}}"),
        over(
            "Merged and closed in a day",
            "none",
            (grown(f'{MOVES}{{event=~"merged|closed"}}', "event", "1d"), "{{event}}"),
        ),
        over("Verdicts of reviews in a day", "none", (grown("aicd_reviews_total", "verdict", "1d"), "{{verdict}}")),
        over(
            "Verdicts of policies in a day",
            "none",
            (grown("aicd_policy_verdicts_total", "verdict", "1d"), "{{verdict}}"),
        ),
        over(
            "Rounds on feedback, and those given up, in a day",
            "none",
            (grown(f'{MOVES}{{event=~"feedback|given_up"}}', "event", "1d"), "{{event}}"),
        ),
        over(
            "Plans that were invalid, of all plans, in a day",
            "percentunit",
            (
                grown(MOVES + '{event="plan_invalid"}', window="1d")
                + " / "
                + grown(MOVES + '{event=~"plan_invalid|plan_ready|approval_asked"}', window="1d"),
                "share",
            ),
        ),
        over("Why jobs failed, in a day", "none", (grown(f'{STOPS}{{event="failed"}}', "code", "1d"), "{{code}}")),
        over("Tokens in a day, by kind", "short", (grown(TOKENS, "kind", "1d"), "{{kind}}")),
        over(
            "Tokens of a pull request, by kind, in a day",
            "short",
            (grown(TOKENS, "kind", "1d") + " / on() group_left " + grown(FIRST, window="1d"), "{{kind}}"),
        ),
        over(
            "Tests and other commands that passed",
            "percentunit",
            (
                per_second('aicd_sandbox_commands_total{outcome="passed"}')
                + " / "
                + per_second("aicd_sandbox_commands_total"),
                "share",
            ),
        ),
    ),
    since="now-30d",
)

DASHBOARDS = (OPERATIONS, COSTS, QUALITY)
