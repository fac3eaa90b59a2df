"""Paddle: each transaction that was paid, of subscriptions whose custom data have `user` and `plan`."""

import json
import payments


def take(body, header):
    payments.check(header, ";", "ts", "h1", ":", body)
    event = json.loads(body)
    if event["event_type"] == "transaction.completed":
        custom, period = event["data"].get("custom_data") or {}, event["data"].get("billing_period")
        if custom.get("user") and custom.get("plan") and period:
            payments.paid(custom["user"], custom["plan"], period["ends_at"], event["occurred_at"])


payments.serve("Paddle-Signature", take)
