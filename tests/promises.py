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
    "tool.parsed": Promise(
        "A path or URL is taken apart only when every reader sees the same place in it.",
        "contracts, section 3",
    ),
    "api.arrival": Promise(
        "A request arrives whole, within bounds of size and time, or is given up.",
        "architecture, section 4",
    ),
    "cli.keys": Promise(
        "A key is handed over into a new file that only its owner reads, before it works.",
        "issue 3, build 7",
    ),
    "cli.why": Promise(
        "A recorded decision is explained as far as it can be, and nothing in it plays with the terminal.",
        "issue 3, shows when done",
    ),
    "service.goes_on": Promise(
        "What runs in the background goes on after whatever happens to it, and says what happened.",
        "issue 3, bad input and faults",
    ),
    "risk.habits": Promise(
        "Unusual speed, bursts of denies and probing raise the risk of that caller, and fade.",
        "issue 4, build 6",
    ),
    "signals.taken": Promise(
        "A signal counts at once, once, until it expires, on record, and only from a key that may send one.",
        "issue 4, build 6",
    ),
    "house.wheel": Promise(
        "What is installed from the wheel is whole.",
        "architecture, section 1",
    ),
    "policy.readme": Promise(
        "The rule that the policy README shows loads and does what it says.",
        "issue 3, build 3",
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
    "tokens.hostile": Promise(
        "Every hostile token is refused with its own code.",
        "identity.md, section 1.7",
    ),
    "tokens.good": Promise(
        "Good tokens of every allowed algorithm are accepted, for no longer than they are good.",
        "identity.md, section 1.3",
    ),
    "tokens.profiles": Promise(
        "Tokens shaped like each known issuer's are read as the right person, client, agent, session and scopes.",
        "identity.md, section 1.4",
    ),
    "tokens.bound": Promise(
        "A token that is bound to a key is worth nothing without a fresh proof of it for exactly this call.",
        "RFC 9449, RFC 8705",
    ),
    "tokens.wycheproof": Promise(
        "Wycheproof's vectors come out as published but for listed deviations.",
        "issue 4",
    ),
    "issuers.checked": Promise(
        "An issuer setting that would weaken verification stops the start.",
        "identity.md, section 1.3",
    ),
    "keys.survive": Promise(
        "Issuer keys survive outages and floods of unknown key ids, and rotate.",
        "identity.md, section 1.6",
    ),
    "keys.honest": Promise(
        "Metadata and keys that are not as they must be are not used.",
        "RFC 8414",
    ),
    "keys.hygiene": Promise(
        "A weak, foreign or ambiguous key verifies nothing.",
        "identity.md, section 1.3, step 6",
    ),
    "identify.parties": Promise(
        "Person and agent are told apart or the call is refused.",
        "identity.md, section 1.2",
    ),
    "identify.chain": Promise(
        "Every link of a chain of agents is registered, and the chain may do what all of it may.",
        "issue 4, build 2",
    ),
    "identify.asserted": Promise(
        "An adapter's word counts only with the unsafe right, brings no scope, and is marked in every record.",
        "issue 4, build 2",
    ),
    "legs": Promise(
        "Five legs carry a call; without any one of them it is denied with that leg's code.",
        "architecture, section 2",
    ),
    "identify.standing": Promise(
        "Lost standing, delegation or session refuses the next call.",
        "architecture, section 2",
    ),
    "identify.credentials": Promise(
        "Only a verified token for this server identifies anybody.",
        "architecture, section 4",
    ),
    "enrich.sliced": Promise(
        "Facts hold only the rights that concern this call.",
        "contracts, section 3",
    ),
    "enrich.expiry": Promise(
        "A right ends with the first of its links, when it is read.",
        "contracts, section 4",
    ),
    "enrich.standing": Promise(
        "Standing lost after identify is refused.",
        "architecture, section 2",
    ),
    "enrich.risk": Promise(
        "Token facts, stored signals and first use are weighed and named.",
        "architecture, section 5",
    ),
    "risk.score": Promise(
        "The score is bounded, monotone and order-free, and its evidence adds up.",
        "architecture, section 5",
    ),
    "risk.calibrated": Promise(
        "The score can be checked by hand.",
        "identity.md, section 3.3",
    ),
    "patterns": Promise(
        "A tool pattern covers what it says and nothing else.",
        "contracts, section 4",
    ),
    "rights.follow_links": Promise(
        "No right without a way to it, none that outlasts a link, and circles end.",
        "identity.md, section 2.4",
    ),
    "people.follow": Promise(
        "The cache follows the store.",
        "architecture, section 5",
    ),
    "people.stale": Promise(
        "Facts that are stale, unreachable or unreadable are refused.",
        "architecture, section 4",
    ),
    "people.shelf": Promise(
        "A load is shared, bounded, and never kept across a change.",
        "architecture, section 5",
    ),
    "store.imports": Promise(
        "An import is all or nothing, and idempotent.",
        "contracts, section 4",
    ),
    "store.sources": Promise(
        "Feeds never fight.",
        "contracts, section 4",
    ),
    "store.changes": Promise(
        "Change order is commit order.",
        "architecture, section 5",
    ),
    "api.identity": Promise(
        "The identity store is read, fed and told to forget over HTTP, by keys of that scope, without lost updates.",
        "contracts, section 1",
    ),
    "store.kills": Promise(
        "What is revoked is refused at once everywhere, on record, and no import brings it back.",
        "issue 4, build 7",
    ),
    "store.schema": Promise(
        "Migrations lead to the tables we use, once.",
        "issue 3, build 4",
    ),
    "feed.strict": Promise(
        "What is wrong in a feed is named by its place.",
        "contracts, section 4",
    ),
    "identity.commands": Promise(
        "`pdp identity` says what it did and exits 0 only on success.",
        "contracts, section 9",
    ),
    "vet.standing": Promise(
        "Only a tool whose definition a person approved is in good standing.",
        "architecture, section 2",
    ),
    "vet.drift": Promise(
        "A definition that is not exactly the approved one is refused, and the change is put on record.",
        "contracts, section 6",
    ),
    "vet.arguments": Promise(
        "Arguments outside the approved schema are refused, without repeating them.",
        "contracts, section 6",
    ),
    "vet.stale": Promise(
        "A registry that cannot be read decides nothing.",
        "architecture, section 4",
    ),
    "vet.tampered": Promise(
        "A definition changed behind the registry's back allows nothing.",
        "contracts, section 6",
    ),
    "registry.lifecycle": Promise(
        "A definition's life follows the transition table and nothing else.",
        "contracts, section 6",
    ),
    "registry.one_approved": Promise(
        "At most one definition of a tool is in force.",
        "contracts, section 6",
    ),
    "registry.recorded": Promise(
        "What happens to a definition is on record, or it does not happen.",
        "contracts, section 7",
    ),
    "registry.limits": Promise(
        "An import beyond the limits is refused as a whole.",
        "issue 3, build 5",
    ),
    "registry.labels": Promise(
        "A label that would protect nothing is refused.",
        "contracts, section 6",
    ),
    "registry.follows": Promise(
        "Every process sees a change of the registry with its next look.",
        "architecture, section 5",
    ),
    "registry.real": Promise(
        "Hundreds of real definitions are taken in, and none is callable before a person approved it.",
        "issue 3, build 5",
    ),
    "registry.drift": Promise(
        "Every real change of a real server's definitions is noticed.",
        "approvals-audit-registry.md, section 3.2",
    ),
    "registry.schema": Promise(
        "A schema that cannot be checked cannot be approved.",
        "issue 3, build 5",
    ),
    "registry.commands": Promise(
        "`pdp registry` says what it did and exits 0 only on success.",
        "contracts, section 9",
    ),
    "log.chain": Promise(
        "Entries form one chain without gaps.",
        "contracts, section 7",
    ),
    "log.durable": Promise(
        "What must be on the disk is, before anyone is told.",
        "architecture, section 5",
    ),
    "log.exact": Promise(
        "What was appended is what is read back, to the byte.",
        "contracts, section 7",
    ),
    "log.find": Promise(
        "A decision is found by its id in any shard.",
        "issue 3, shows when done",
    ),
    "log.kill": Promise(
        "A killed writer loses no acknowledged entry.",
        "architecture, section 5",
    ),
    "log.kinds": Promise(
        "Only kinds of the table are recorded.",
        "contracts, section 7",
    ),
    "log.one_writer": Promise(
        "A log has one writer.",
        "architecture, section 5",
    ),
    "log.private": Promise(
        "Only its owner can read the log.",
        "contracts, section 9",
    ),
    "log.rotation": Promise(
        "The chain goes on from one segment to the next.",
        "issue 3, build 6",
    ),
    "log.tampering": Promise(
        "A changed, removed, swapped or inserted entry is found.",
        "issue 7",
    ),
    "log.torn_tail": Promise(
        "A torn tail is cut, said, and recorded.",
        "issue 7",
    ),
    "log.unrecorded": Promise(
        "Whatever keeps an entry from the log is an error, and recovery is real.",
        "architecture, section 4",
    ),
    "projection.complete": Promise(
        "Every decision and outcome of the log can be looked up, whatever was killed when.",
        "contracts, section 1",
    ),
    "projection.truth": Promise(
        "The lookup never says what the log does not.",
        "contracts, section 1",
    ),
    "record.credentials": Promise(
        "No credential is in any record, whoever put it where.",
        "contracts, section 7",
    ),
    "record.durable": Promise(
        "Only calls that change nothing are answered before the disk has them.",
        "architecture, section 5",
    ),
    "record.key": Promise(
        "The masking key is private, kept, and the same for all workers.",
        "contracts, section 7",
    ),
    "record.masked": Promise(
        "Sensitive values are nowhere in a record, and cannot be guessed from it.",
        "contracts, section 7",
    ),
    "record.prompt": Promise(
        "The prompt is recorded as the setting says.",
        "contracts, section 7",
    ),
    "record.receipt": Promise(
        "A receipt names the line that is in the log.",
        "contracts, section 1",
    ),
    "record.replay": Promise(
        "A record carries what a replay needs.",
        "contracts, section 7",
    ),
    "record.unrecorded": Promise(
        "When the log does not take it nobody may be told.",
        "architecture, section 4",
    ),
    "adapter.base_install": Promise(
        "The adapter runs on the base install.",
        "architecture, section 1",
    ),
    "adapter.call": Promise(
        "An allowed call runs, and names its decision.",
        "issue 3, build 8",
    ),
    "adapter.canonical": Promise(
        "The arguments decided on are the arguments the tool gets.",
        "contracts, section 6",
    ),
    "adapter.closed": Promise(
        "Whatever goes wrong between adapter and PDP is a deny within the deadline.",
        "architecture, section 4",
    ),
    "adapter.digest": Promise(
        "The adapter's digests are an importing client's, and drift is noticed at the next call.",
        "contracts, section 6",
    ),
    "adapter.intent": Promise(
        "The caller's intent is handed on.",
        "issue 3, build 8",
    ),
    "adapter.list": Promise(
        "Callers are shown the tools they may call at all.",
        "issue 3, build 8",
    ),
    "adapter.methods": Promise(
        "What is not decided on is denied, unless an unsafe name lets it through.",
        "issue 3, build 8",
    ),
    "adapter.outcome": Promise(
        "What became of a call is reported exactly once.",
        "contracts, section 1",
    ),
    "adapter.redact": Promise(
        "What the policy says to redact leaves nothing behind, or the result is withheld.",
        "contracts, section 1",
    ),
    "adapter.replies": Promise(
        "A refusal says that the tool did not run, and what would help.",
        "mcp-adapters.md, section 3",
    ),
    "adapter.waits": Promise(
        "A call that needs an approval waits as its client can bear, and runs once people agreed, never before.",
        "mcp-adapters.md, section 3",
    ),
    "adapter.pages": Promise(
        "A client that opens pages is shown the one about its call; that it was opened approves nothing.",
        "mcp-adapters.md, section 3.2",
    ),
    "adapter.token": Promise(
        "The caller's token is handed on unread, and nobody speaks for another.",
        "contracts, section 9",
    ),
    "demo": Promise(
        "The demo ends as its rows say, and every decision in it can be explained.",
        "issue 3, build 9",
    ),
    "dev.issuer": Promise(
        "The sample issuer's keys and tokens are real.",
        "issue 3, build 9",
    ),
    "policy.cases": Promise(
        "Every row of the decision tables is decided as it says, by a real OPA.",
        "issue 3, build 3",
    ),
    "policy.fails_closed": Promise(
        "Every known way a pack of this form fails open is refused, or the call is denied.",
        "policy-checked.md",
    ),
    "policy.no_gain_by_loss": Promise(
        "Taking a field away, or replacing it by nonsense, never makes a call more permitted.",
        "architecture, section 3",
    ),
    "policy.pack": Promise(
        "A pack is complete, in its place and deterministic, or it is not built.",
        "architecture, section 3",
    ),
    "policy.bundle": Promise(
        "A bundle read back is the pack that was built, whole and unchanged, or it is refused.",
        "issue 5, build 4",
    ),
    "policy.signed": Promise(
        "With verification keys set, only a bundle that one of them signed, unchanged, is loaded; stock OPA agrees.",
        "issue 5, build 4",
    ),
    "policy.newest": Promise(
        "A signed policy older than the newest ever active is refused, after a restart and by every replica.",
        "issue 5, build 4",
    ),
    "policy.origin": Promise(
        "The policy comes from one place, is checked here whoever built it, and no setting is passed over in silence.",
        "issue 5, build 4",
    ),
    "policy.law": Promise(
        "Every rule has its words, and its examples hold.",
        "architecture, section 3",
    ),
    "policy.safe_form": Promise(
        "Rules are written in a form that cannot hold on nothing.",
        "architecture, section 3",
    ),
    "policy.probe": Promise(
        "On an empty input nothing applies, holds, is open or is owed.",
        "architecture, section 3",
    ),
    "policy.schema": Promise(
        "A misspelt field of the input is found before a rule runs.",
        "architecture, section 3",
    ),
    "policy.values": Promise(
        "A tunable that is misspelt or of the wrong type is found before a rule reads it.",
        "architecture, section 3",
    ),
    "policy.canary": Promise(
        "Every deliberate mistake of the canary pack is caught by its checker.",
        "architecture, section 3",
    ),
    "policy.tools": Promise(
        "Regal finds what a rule's author should know, with our rules and nobody silencing them.",
        "architecture, section 3",
    ),
    "policy.visible": Promise(
        "What a caller may see follows from floors and the rules about callers alone.",
        "contracts, section 1",
    ),
    "policy.commands": Promise(
        "`pdp policy` says what it did and exits 0 only on success.",
        "contracts, section 9",
    ),
    "adapter.connections": Promise(
        "The adapter's connections to the PDP are few, bounded and never shared between answers.",
        "contracts, section 1",
    ),
    "approvals.lifecycle": Promise(
        "Requests and approvals take the steps of their tables and no others; what is decided stays decided.",
        "issue 6, build 1",
    ),
    "approvals.once": Promise(
        "An approval lets through as many calls as it says, once by default, however many ask at the same time.",
        "issue 6, build 2",
    ),
    "approvals.bound": Promise(
        "An approval is good for exactly the action it was given for.",
        "contracts, section 6",
    ),
    "approvals.one_question": Promise(
        "Identical calls share one open question.",
        "issue 6, build 4",
    ),
    "approvals.floor": Promise(
        "Only people vote, once, and never on a call made by or for themselves, whatever policy says.",
        "issue 6, build 3",
    ),
    "approvals.time": Promise(
        "What was not decided in time is not approved, and what was not used in time is void, by the database's clock.",
        "issue 6, build 1",
    ),
    "approvals.api": Promise(
        "People see the exact call, vote and take back over HTTP with a token of their own; adapters watch their own.",
        "contracts, section 1",
    ),
    "approvals.not_worn_out": Promise(
        "Nobody is asked again about a call they refused a moment ago, and no caller floods those who answer.",
        "issue 6, build 8",
    ),
    "approvals.plain": Promise(
        "Text of a call is shown to people so that nothing in it hides, turns around or imitates unnoticed.",
        "issue 6, build 5",
    ),
    "approvals.rules": Promise(
        "Who may vote, in how many stages and by how many, is what the policy says.",
        "issue 6, build 3",
    ),
    "approvals.rechecked": Promise(
        "An approval counts only while policy allows the call and those who gave it may still give it.",
        "issue 6, build 2",
    ),
    "approvals.recorded": Promise(
        "Every transition of a request or an approval is on record, or does not happen.",
        "issue 6, build 1",
    ),
}
