"""Send, track and receive mail from end to end, and show the result of each step.

Starts a mail server (`postal-server run`) and the example project in separate processes, on free loopback
ports and in a temporary folder. All steps use real HTTP and SMTP. If a step fails, the command prints the
reason and exits with status 1.
"""

from __future__ import annotations

import argparse
import signal
import sys
from types import FrameType

import requests
from rich.console import Console

from postal_server.testing import RunningServer, ServerError

from .app import App
from .story import StepFailed, Story


def main() -> int:
    parser = argparse.ArgumentParser(prog="make demo", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    keep = parser.parse_args().keep
    console = Console(highlight=False)
    signal.signal(signal.SIGTERM, _stop)
    running = RunningServer(use_cache=False)
    app = App(running.folder)
    try:
        Story(console, running, app).tell()
        if keep:
            _wait(console, running, app)
    except (StepFailed, ServerError, AssertionError, OSError, requests.RequestException) as error:
        console.print(f"[bold red]✗ {type(error).__name__}:[/] {error}", markup=True)
        return 1
    except KeyboardInterrupt:
        console.print("Stopped.")
        return 130
    finally:
        app.stop()
        running.stop()
    return 0


def _stop(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait(console: Console, running: RunningServer, app: App) -> None:
    console.print(
        "\nEverything is still running. "
        f"Log in as ann@example.org or bob@example.org, password {app.password}.\n"
        f"  the app          {app.url}\n"
        f"  the mail server  {running.url} (SMTP on port {running.smtp_port})\n"
        f"  its files        {running.folder}\n"
        "Ctrl-C stops both and removes the files."
    )
    signal.pause()


if __name__ == "__main__":
    sys.exit(main())
