"""What we promise, each with its source. Every promise has a test and every test names its promise."""

from typing import NamedTuple


class Promise(NamedTuple):
    """A sentence a user may rely on, and where it comes from."""

    sentence: str
    source: str


PROMISES = {
    "house.promises": Promise(
        "Every promise has a test and every test names its promise.",
        "issue 3, how we test",
    ),
    "house.form": Promise(
        "The code keeps the house rules that a machine can check.",
        "architecture, section 1",
    ),
    "engine.contract": Promise(
        "Every way of reaching OPA answers alike: the result, or a refusal with its code.",
        "issue 3, build 2",
    ),
    "engine.strict": Promise(
        "Anything but one whole 200 with a result, from an OPA on this machine, is a refusal.",
        "architecture, section 4",
    ),
    "engine.deadline": Promise(
        "No call to OPA outlasts its deadline, and a late one stops costing OPA.",
        "architecture, section 4",
    ),
    "engine.own_answer": Promise(
        "No call ever reads the answer meant for another.",
        "architecture, section 5",
    ),
    "engine.bounded": Promise(
        "Connections to OPA and the queue before them are bounded, in order, and freed by cancelled calls.",
        "architecture, section 5",
    ),
    "engine.recovers": Promise(
        "While OPA is dead or hangs calls are refused; after a death answers are back within 3 s.",
        "issue 3, shows when done",
    ),
    "engine.no_orphan": Promise(
        "OPA never outlives the PDP, not even a PDP killed by SIGKILL; closing leaves nothing behind.",
        "issue 3, shows when done",
    ),
    "engine.private": Promise(
        "Only the PDP's user reaches its OPA, and nothing of our environment does.",
        "architecture, section 5",
    ),
    "opa.found": Promise(
        "A named OPA must be good; only a release that is new enough is ever used.",
        "issue 3, build 2",
    ),
    "opa.installed": Promise(
        "An OPA gets into the cache whole, checked and saying what was done, or not at all.",
        "issue 3, build 2",
    ),
    "net.checked": Promise(
        "What is fetched comes over TLS or from this machine, with the right checksum, or not at all.",
        "architecture, section 1",
    ),
    "house.wheel": Promise(
        "What is installed from the wheel is whole.",
        "architecture, section 1",
    ),
    "house.docs": Promise(
        "Generated pages say what the code says.",
        "how we write",
    ),
    "api.decisions": Promise(
        "Whoever asks about a call gets the decision, why, and where it is recorded.",
        "contracts, section 1",
    ),
    "api.bad_input": Promise(
        "A body that is malformed, ambiguous, too deep or too large is a problem; nothing is decided or echoed.",
        "contracts, preamble",
    ),
    "api.access": Promise(
        "Nobody is answered without a valid key, nor beyond the servers and scopes it lists.",
        "architecture, section 4",
    ),
    "api.idempotency": Promise(
        "The same key and body get the same answer; another body is a conflict.",
        "contracts, section 1",
    ),
    "api.visible": Promise(
        "A caller is shown the tools it may call at all, and no others.",
        "contracts, section 1",
    ),
    "api.outcome": Promise(
        "An outcome is taken once, from the adapter that asked, and stands beside the decision.",
        "contracts, section 1",
    ),
    "api.health": Promise(
        "The service says whether it is alive, ready through the whole path, and how much it decides.",
        "contracts, section 1",
    ),
    "api.openapi": Promise(
        "The OpenAPI description names every route and resolves every reference.",
        "issue 3, build 7",
    ),
    "audit.no_secrets": Promise(
        "No access token is ever in the log.",
        "contracts, section 7",
    ),
    "fault.opa_killed": Promise(
        "While OPA is dead every answer is a recorded deny within its deadline, and allows come back within 3 s.",
        "issue 3, shows when done",
    ),
    "fault.opa_stopped": Promise(
        "A stopped OPA is a recorded deny within the deadline, and the service recovers by itself.",
        "architecture, section 4",
    ),
    "fault.opa_garbage": Promise(
        "An engine that says anything but a verdict of the loaded policy is a recorded deny.",
        "architecture, section 4",
    ),
    "fault.unrecorded": Promise(
        "When the log cannot be written the answer is 503 and a deny, never an allow.",
        "architecture, section 4",
    ),
    "fault.store_gone": Promise(
        "When the store is away, calls are denied once facts are older than the published bound.",
        "architecture, section 5",
    ),
    "fault.unexpected": Promise(
        "Whatever else goes wrong is a recorded deny.",
        "architecture, section 4",
    ),
    "fault.deadline": Promise(
        "A decision that is late is a recorded deny.",
        "architecture, section 4",
    ),
    "serve.process": Promise(
        "The service starts with a sentence or ends with one, and takes its OPA with it.",
        "issue 3, build 2",
    ),
}
