"""The rows of the fail-closed table (architecture, section 4; issue 7, build 5): what breaks, and what is answered.

A test names its rows by `@pytest.mark.fault("row", ...)` and really breaks that part; `tests/house/test_faults.py`
checks both ways. `make faults` prints the table and counts.
"""

from typing import NamedTuple

TABLE = "architecture, section 4"
BUILD_5 = "issue 7, build 5"
SHOWN = "issue 7, shows when done"


class Row(NamedTuple):
    """What breaks, what is answered then, and where that is said."""

    breaks: str
    answer: str
    source: str


ROWS: dict[str, Row] = {
    "query.malformed": Row("the query is malformed, too deep or too large", "400, 413; nothing decided", TABLE),
    "adapter.stranger": Row("the adapter has no good key, or not for this server", "401, 403; no reasons", TABLE),
    "token.bad": Row("the caller's token is bad, expired or for another server", "deny identity.*", TABLE),
    "caller.standing": Row("person, agent, delegation, session or client lost its standing", "deny identity.*", TABLE),
    "keys.gone": Row("the issuer's keys cannot be read any more", "deny identity.keys_unavailable", BUILD_5),
    "store.gone": Row("the store's file is gone", "deny facts.*; keys then admit nobody", TABLE),
    "store.locked": Row("somebody locks the store and keeps it locked", "deny facts.*, deadline, approvals.*", BUILD_5),
    "store.corrupt": Row("the store's file is overwritten", "deny facts.*; no start on it", BUILD_5),
    "store.slow": Row("the store answers late", "deny deadline, then facts.stale", BUILD_5),
    "tool.standing": Row("the tool is unknown, unapproved, drifted, quarantined or revoked", "deny tool.*", TABLE),
    "tool.arguments": Row("the arguments do not fit the approved schema", "deny tool.arguments", TABLE),
    "opa.killed": Row("OPA is killed", "deny engine.unavailable, engine.timeout", TABLE),
    "opa.stopped": Row("OPA hangs (SIGSTOP)", "deny engine.timeout", TABLE),
    "opa.slow": Row("OPA takes seconds for an answer", "deny engine.timeout; it stops evaluating", TABLE),
    "opa.500": Row("OPA answers with an error", "deny engine.*", TABLE),
    "opa.garbage": Row("OPA answers with anything but JSON over HTTP", "deny engine.garbled", TABLE),
    "opa.truncated": Row("OPA's answer breaks off", "deny engine.*", TABLE),
    "opa.no_result": Row("OPA answers 200 without a result", "deny engine.undefined", TABLE),
    "opa.unknown_effect": Row("OPA's verdict has an effect that does not exist", "deny engine.garbled", TABLE),
    "opa.extra_key": Row("OPA's verdict has a member too many", "deny engine.garbled", TABLE),
    "opa.empty_manifest": Row("OPA runs a policy that lists no rules", "deny; not ready", TABLE),
    "opa.wrong_revision": Row("OPA runs another policy than expected", "deny engine.revision", TABLE),
    "deadline.identify": Row("to identify takes too long", "deny deadline", BUILD_5),
    "deadline.enrich": Row("to enrich takes too long", "deny deadline", BUILD_5),
    "deadline.vet": Row("to vet takes too long", "deny deadline", BUILD_5),
    "deadline.decide": Row("to decide takes too long", "deny deadline, engine.timeout", TABLE),
    "deadline.record": Row("to record takes too long", "503, deny audit.unavailable", BUILD_5),
    "fault.unforeseen": Row("anything else is raised on the way", "deny fault", TABLE),
    "log.full": Row("the disk of the log is full", "503, deny audit.unavailable", TABLE),
    "log.removed": Row("the log's file or folder is removed", "503, deny; the gap is on record", TABLE),
    "log.replaced": Row("the log's file is replaced or changed by others", "503, deny audit.unavailable", BUILD_5),
    "log.fsync": Row("the disk takes what is written and fails to keep it", "503, deny audit.unavailable", BUILD_5),
    "log.hangs": Row("the disk of the log hangs", "503, deny audit.unavailable", BUILD_5),
    "log.torn": Row("a line of the log was torn when the machine stopped", "cut, said and on record", BUILD_5),
    "clock.forward": Row("the clock jumps forward", "deny until what is young enough comes", BUILD_5),
    "clock.back": Row("the clock jumps back", "deny until what is young enough comes", BUILD_5),
    "client.gone": Row("the adapter hangs up before its answer", "recorded or never answered; nothing leaks", BUILD_5),
    "service.stopped": Row("the service is told to stop amid calls", "they are answered; new ones refused", BUILD_5),
    "service.killed": Row("the service is killed amid calls", "what was answered is on record", BUILD_5),
    "service.second": Row("a second service starts on the same directory", "refused, and told what to do", BUILD_5),
    "approval.cut_off": Row("a kill between approval, use and answer", "it never runs twice, or unrecorded", SHOWN),
    "approval.replayed": Row("a vote is sent again", "it gives nothing anew", SHOWN),
    "adapter.alone": Row("the adapter cannot reach the PDP or read its answer", "the adapter denies", TABLE),
    "adapter.duty": Row("the adapter cannot perform a duty", "the adapter denies", TABLE),
}
