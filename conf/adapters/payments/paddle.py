"""Paddle: each transaction that was paid, of subscriptions whose custom data have `user` and whose price's have `plan`."""

import json
import payments


def take(body, header):
    payments.check(header, ";", "ts", "h1", ":", body)
    event = json.loads(body)
    if payments.member(event, "event_type") == "transaction.completed":
        data = payments.member(event, "data")
        of, price = (one.get("custom_data") or {} for one in (data, payments.member(data, "items")[0]["price"]))
        if of.get("user") and price.get("plan") and data.get("billing_period"):
            until = payments.member(data, "billing_period", "ends_at")
            payments.paid(of["user"], price["plan"], until, payments.member(event, "occurred_at"))


payments.serve("Paddle-Signature", take)
