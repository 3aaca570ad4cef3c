"""Charges what is recorded, by the code of its level, at a stand-in of Stripe:

    PYTHONPATH=tests .venv/bin/python tests/record_past.py 0020 \
        --then "$PWD/.venv/bin/python $PWD/apps/backend/tests/record_billing.py"
"""

import os
import subprocess
import sys
from pathlib import Path

import httpx
import psycopg

from aicd_backend.testing.stripe.server import serving_stripe

KEY = "sk_test_stand_in"
BILLED = "UPDATE billing_accounts SET customer = %s, billed_from = now() - interval '1 hour', credit_pico_usd = 0"


def aicd(*arguments: str) -> None:
    subprocess.run([str(Path(sys.executable).with_name("aicd")), "billing", *arguments], check=True)


with serving_stripe() as stand_in:
    os.environ |= {"AICD_STRIPE_KEY": KEY, "AICD_STRIPE_URL": stand_in.url}
    aicd("sync")
    aicd("plan", "--org", "local", "per_token")
    made = httpx.post(f"{stand_in.url}/v1/customers", headers={"Authorization": f"Bearer {KEY}"}, data={"name": "Ada"})
    with psycopg.connect(os.environ["AICD_MIGRATION_DATABASE_URL"]) as connection:
        connection.execute(BILLED, [made.raise_for_status().json()["id"]])
    aicd("export", "--once")
    aicd("credit", "--org", "local", "--micro-usd", "5000", "--for", "ticket-1", "--reason", "an outage")
