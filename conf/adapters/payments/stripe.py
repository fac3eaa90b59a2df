"""Stripe: each invoice that was paid, of subscriptions whose metadata have `user` and `plan`."""

import json
import payments


def take(body, header):
    payments.check(header, ",", "t", "v1", ".", body)
    event = json.loads(body)
    if payments.member(event, "type") == "invoice.paid":
        for line in payments.member(event, "data", "object", "lines", "data"):
            of = line.get("metadata") or {}
            if of.get("user") and of.get("plan") and payments.member(line, "amount") >= 0:
                until = payments.time_of(payments.member(line, "period", "end"))
                payments.paid(of["user"], of["plan"], until, payments.member(event, "created"))


payments.serve("Stripe-Signature", take)
