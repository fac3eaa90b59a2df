"""Alert rules for Prometheus and the dashboard for Grafana: well-formed, and about what is really served."""

import json
import re
import shutil
import subprocess

import pytest

from support import openmetrics
from support.processes import ROOT
from support.status import do_a_bit_of_everything, metrics_of
from support.waiting import wait_until

RULES = ROOT / "conf/prometheus/onesession.rules.yml"
DASHBOARD = ROOT / "conf/grafana/onesession.json"
NAMES = re.compile(r"\bonesession_\w+")
NEEDS_PROMTOOL = pytest.mark.skipif(shutil.which("promtool") is None, reason="no promtool")

# What each alert is about, a sample every minute, and what it is not about; `up` as Prometheus makes it itself.
ALERTS = {
    "OnesessionDown": ({'up{job="onesession"}': "0x30"}, {'up{job="onesession"}': "1x30"}),
    "OnesessionErrors": (
        {
            'onesession_requests_total{route="/auth",status="503"}': "0+10x30",
            'onesession_requests_total{status="200"}': "0+90x30",
        },
        {
            'onesession_requests_total{route="/auth",status="503"}': "0x30",
            'onesession_requests_total{status="200"}': "0+90x30",
        },
    ),
    "OnesessionDatabase": (
        {"onesession_database_errors_total": "0+60x30"},
        {"onesession_database_errors_total": "3x30"},
    ),
    "OnesessionGuardSlow": (
        {
            'onesession_request_duration_seconds_bucket{route="/auth",le="0.25"}': "0+10x30",
            'onesession_request_duration_seconds_bucket{route="/auth",le="0.5"}': "0+100x30",
            'onesession_request_duration_seconds_bucket{route="/auth",le="+Inf"}': "0+100x30",
        },
        {
            'onesession_request_duration_seconds_bucket{route="/auth",le="0.005"}': "0+100x30",
            'onesession_request_duration_seconds_bucket{route="/auth",le="+Inf"}': "0+100x30",
        },
    ),
    "OnesessionWorkersAllBusy": (
        {'onesession_workers{state="idle"}': "0x30", 'onesession_workers{state="busy"}': "8x30"},
        {'onesession_workers{state="idle"}': "1x30", 'onesession_workers{state="busy"}': "7x30"},
    ),
    "OnesessionWorkersDie": (
        {"onesession_worker_timeouts_total": "0x25 1x5"},
        {"onesession_worker_timeouts_total": "1x30"},
    ),
    "OnesessionRestarts": ({"onesession_start_time_seconds": "1+1x30"}, {"onesession_start_time_seconds": "1x30"}),
    "OnesessionReloadRefused": (
        {"onesession_reloads_refused_total": "0x25 1x5"},
        {"onesession_reloads_refused_total": "1x30"},
    ),
    "OnesessionGuessing": (
        {"onesession_login_failures_total": "0+600x30", "onesession_logins_total": "0+6x30"},
        {"onesession_login_failures_total": "0+600x30", "onesession_logins_total": "0+600x30"},
    ),
    "OnesessionLoginsWait": ({"onesession_hashing_waiting": "60x30"}, {"onesession_hashing_waiting": "4x30"}),
    "OnesessionMailWaits": (
        {"onesession_mail_server_is_away": "1x30", "onesession_mails_oldest_seconds": "0x30"},
        {"onesession_mail_server_is_away": "1x10 0x20", "onesession_mails_oldest_seconds": "300x30"},
    ),
    "OnesessionMailDead": (
        {'onesession_mails_total{result="dead"}': "0x20 6x10"},
        {'onesession_mails_total{result="dead"}': "6x30", 'onesession_mails_total{result="deferred"}': "0+5x30"},
    ),
    "OnesessionWebhooksWait": (
        {"onesession_webhook_oldest_seconds": "3700x30"},
        {"onesession_webhook_oldest_seconds": "300x30"},
    ),
    "OnesessionWebhooksDead": (
        {'onesession_webhook_events_total{result="dead"}': "0x20 1x10"},
        {'onesession_webhook_events_total{result="dead"}': "6x30", 'onesession_webhook_events_total{result="failed"}': "0+5x30"},
    ),
    "OnesessionSharedAccounts": (
        {"onesession_shared_accounts_total": "0x25 1x5"},
        {"onesession_shared_accounts_total": "1x30"},
    ),
}


def expressions_of_dashboard():
    dashboard = json.loads(DASHBOARD.read_text())
    return [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]


@NEEDS_PROMTOOL
def test_rules_are_well_formed():
    done = subprocess.run(["promtool", "check", "rules", RULES], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"alert: (\w+)", RULES.read_text()) == list(ALERTS)


@NEEDS_PROMTOOL
def test_expressions_of_the_dashboard_are_well_formed(tmp_path):
    rules = [
        {"record": f"panel:{number}", "expr": re.sub(r"\$__rate_interval", "5m", expr).replace("$instance", ".*")}
        for number, expr in enumerate(expressions_of_dashboard())
    ]
    # JSON is YAML.
    (tmp_path / "rules.yml").write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run(
        ["promtool", "check", "rules", tmp_path / "rules.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


@NEEDS_PROMTOOL
@pytest.mark.parametrize("alert", ALERTS)
def test_alert_comes_when_it_should_and_not_otherwise(tmp_path, alert):
    def case(series, fires):
        # How it is worded and labelled is the file's own affair: that it is there is looked at.
        return {
            "interval": "1m",
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "promql_expr_test": [
                {
                    "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}}) or vector(0)',
                    "eval_time": "30m",
                    "exp_samples": [{"labels": "{}", "value": 1 if fires else 0}],
                }
            ],
        }

    wrong, well = ALERTS[alert]
    tests = {"rule_files": [str(RULES)], "evaluation_interval": "1m", "tests": [case(wrong, True), case(well, False)]}
    (tmp_path / "tests.yml").write_text(json.dumps(tests))
    done = subprocess.run(
        ["promtool", "test", "rules", tmp_path / "tests.yml"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_rules_and_dashboard_are_about_metrics_that_are_served(daemon):
    do_a_bit_of_everything(daemon)
    wait_until(lambda: "onesession_live_sessions" in metrics_of(daemon), "the live sessions to be counted")
    served = {key[0] for key in openmetrics.samples(metrics_of(daemon))}
    for text in (RULES.read_text(), "\n".join(expressions_of_dashboard())):
        asked = set(NAMES.findall(re.sub(r"#.*", "", text)))
        assert asked and asked <= served, asked - served
    # Whatever is served is shown, but for jobs, which are there once one has run.
    shown = set(NAMES.findall("\n".join(expressions_of_dashboard())))
    served = {name for name in served if not name.startswith("onesession_job_")}
    assert served <= shown, served - shown
    assert 'onesession_workers{state="idle"}' in metrics_of(daemon)


def test_dashboard_has_each_panel_once_and_in_its_place():
    panels = json.loads(DASHBOARD.read_text())["panels"]
    assert len({panel["id"] for panel in panels}) == len({panel["title"] for panel in panels}) == len(panels)
    places = [
        (x, y)
        for place in (panel["gridPos"] for panel in panels)
        for x in range(place["x"], place["x"] + place["w"])
        for y in range(place["y"], place["y"] + place["h"])
    ]
    assert len(set(places)) == len(places) and max(x for x, _ in places) < 24
