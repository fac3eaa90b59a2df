"""Stripe: each invoice that was paid, of subscriptions whose metadata have `user` and `plan`."""

import json
import payments


def take(body, header):
    payments.check(header, ",", "t", "v1", ".", body)
    event = json.loads(body)
    if event["type"] == "invoice.paid":
        for line in event["data"]["object"]["lines"]["data"]:
            user, plan = line["metadata"].get("user"), line["metadata"].get("plan")
            if user and plan and line["amount"] >= 0:
                payments.paid(user, plan, payments.time_of(line["period"]["end"]), event["created"])


payments.serve("Stripe-Signature", take)
