"""The program of hubagent-certbot.service: has certbot get one certificate. A Request on standard input, an Answer on
standard output; what certbot says goes to the unit's log.

certbot gets a request that is signed already, so it never has the certificate's key and keeps no certificate that
another timer could renew. Its own configuration of /etc/letsencrypt is not read: the unit hides it.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from hubagent.certificates import certbot_log
from hubagent.certificates.messages import (
    ANSWER,
    MAX_ANSWER_BYTES,
    MAX_REQUEST_BYTES,
    REQUEST,
    Answer,
    Request,
)
from hubagent.text import clean, clean_lines

CERTBOT: Final = Path("/usr/bin/certbot")
STATE: Final = Path("/var/lib/hubagent/certbot")

_DONE_S: Final = 540
_MAX_LOG_BYTES: Final = 4 * 1024**2
_MAX_CHAIN_BYTES: Final = MAX_ANSWER_BYTES // 4
_HINTS: Final = ("Ask for help", "Saving debug log", "See the logfile")
_FORGOTTEN: Final = "accountDoesNotExist"


def obtain(request: Request, *, program: Path, state: Path) -> Answer:
    """`state` is certbot's folder, in which it keeps accounts."""
    with tempfile.TemporaryDirectory(prefix="certbot-") as name:
        work = Path(name)
        csr, chain, logs = work / "request.pem", work / "chain.pem", work / "logs"
        csr.write_text(request.csr)
        arguments = [
            "certonly", "--non-interactive", "--agree-tos", "--max-log-backups=0",
            f"--config-dir={state}", f"--work-dir={work / 'work'}", f"--logs-dir={logs}",
            f"--server={request.directory}",
            f"--email={request.email}" if request.email else "--register-unsafely-without-email",
            "--webroot", f"--webroot-path={request.webroot}",
            f"--csr={csr}", f"--fullchain-path={chain}",
            f"--cert-path={work / 'certificate.pem'}", f"--chain-path={work / 'intermediate.pem'}",
        ]  # fmt: skip
        try:
            done = subprocess.run(  # noqa: S603 (by its path; every value is part of a word of its own)
                [program, *arguments],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=_DONE_S,
                check=False,
            )
        except FileNotFoundError:
            return Answer(is_missing=True)
        except subprocess.TimeoutExpired:
            return Answer(said=f"certbot was not done within {_DONE_S} s")
        said = clean_lines(done.stdout.decode(errors="replace"))
        print(said, file=sys.stderr)
        if done.returncode == 0 and chain.is_file():
            return Answer(chain=_end_of(chain, _MAX_CHAIN_BYTES))
        found = certbot_log.problems(_end_of(logs / "letsencrypt.log", _MAX_LOG_BYTES))
        if any(one.kind == _FORGOTTEN for one in found):
            shutil.rmtree(state / "accounts", ignore_errors=True)  # the next try registers anew
        return Answer(problems=found, said=_last_line(said))


def _last_line(said: str) -> str:
    """The last that is no hint."""
    lines = [line for line in said.splitlines() if line.strip() and not line.startswith(_HINTS)]
    return clean(lines[-1])[:1000] if lines else ""


def _end_of(path: Path, most: int) -> str:
    try:
        return path.read_bytes()[-most:].decode(errors="replace")
    except OSError:
        return ""


def main() -> int:
    request = REQUEST.loads(sys.stdin.buffer.read(MAX_REQUEST_BYTES))
    sys.stdout.buffer.write(ANSWER.dumps(obtain(request, program=CERTBOT, state=STATE)))
    return 0
