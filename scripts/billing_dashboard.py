"""What Grafana shows of billing, as data: apart from the rest, since only who charges by Stripe has these figures."""

from dashboards import Dashboard, grown, now, over

BILLING = Dashboard(
    "aicd-billing",
    "AI-CD: billing",
    (
        now("Oldest charge that Stripe does not have", "s", "max(aicd_billing_exports_oldest_seconds)"),
        now("Charges that Stripe does not have", "none", "max(aicd_billing_exports_waiting)"),
        now("Charges that are not sent again", "none", "max(aicd_billing_exports_dead)"),
        now("Oldest event of Stripe's, not handled", "s", "max(aicd_billing_events_oldest_seconds)"),
        now("Meters whose books differ", "none", "max(aicd_billing_books_differing)"),
        over(
            "Billing lag",
            "s",
            ("max(aicd_billing_exports_oldest_seconds)", "oldest charge that Stripe does not have"),
            ("max(aicd_billing_events_oldest_seconds)", "oldest event of Stripe's, not handled"),
        ),
        over(
            "Charges at rest",
            "none",
            ("max(aicd_billing_exports_waiting)", "wait to be sent"),
            ("max(aicd_billing_exports_dead)", "are not sent again"),
        ),
        over(
            "Events of Stripe's in an hour",
            "none",
            (grown("aicd_billing_events_total", "outcome", "1h"), "{{outcome}}"),
        ),
        over("Meters whose books of the day before differ", "none", ("max(aicd_billing_books_differing)", "meters")),
    ),
    since="now-7d",
    about="billing",
)
