"""Compare live answers with what versions showed when they were evaluated.

Read the recorded answers of a model and say for each version how many there were, how many of the labelled
ones are right, and what has changed since its evaluation: first answers, scores, and how the pictures look.
Each report is also a run in MLflow's experiment "modelyard monitoring". The exit code is 1 if a limit of
conf/monitor is passed.
"""

import argparse
import shutil
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from modelyard.cli.arguments import add_json, add_name, add_since, add_tables, open_tables, read_period
from modelyard.cli.output import say, say_json, write_html
from modelyard.failures import explain

if TYPE_CHECKING:
    from modelyard.monitoring.reports.report import Report

DEFAULT_SINCE = "7d"


def add_arguments(command: argparse.ArgumentParser) -> None:
    add_name(command)
    add_since(command, DEFAULT_SINCE)
    command.add_argument("--version", metavar="N", help="report on this version only")
    add_tables(command)
    add_json(command)
    page = "write a page with the pictures that each version was least sure of"
    command.add_argument("--html", type=Path, metavar="FILE", help=page)
    again = "report repeatedly at this interval, such as 1h, until stopped"
    command.add_argument("--watch", type=read_period, metavar="TIME", help=again)


def run(given: argparse.Namespace) -> int:
    """Print a report; return 1 if it has an alarm. With --watch, go on, also where a later report fails."""
    report = _report(given)
    while given.watch is not None:
        time.sleep(given.watch / timedelta(seconds=1))
        try:
            _report(given)
        except Exception as error:
            line = explain(error)
            if line is None:
                raise
            say(f"no report this time: {line}", error=True)
    return 1 if report.alarms else 0


def _report(given: argparse.Namespace) -> "Report":
    from modelyard.monitoring.reports.page import draw_page
    from modelyard.monitoring.reports.report import Question, make_report
    from modelyard.monitoring.reports.runs import log_report
    from modelyard.monitoring.reports.words import draw_report
    from modelyard.params import load_params
    from modelyard.registry.versions import get_model
    from modelyard.repository import find_root
    from modelyard.tracking.store import open_store

    settings = load_params(find_root() / "params.yaml").monitor
    store, place = open_store(), open_tables(given.tables)
    get_model(store.client, given.name)
    now = datetime.now(UTC)
    report = make_report(store, place, Question(given.name, given.version, now - given.since, now), settings)
    if given.html:
        write_html(given.html, draw_page(report, place))
    run_id = log_report(store, report, settings, draw_page(report))
    if given.json:
        say_json({**report.to_json(), "run_id": run_id}, indent=2)
    else:
        for line in draw_report(report, shutil.get_terminal_size().columns):
            say(line)
    return report
