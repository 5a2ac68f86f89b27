"""What we promise, each with its source. Every promise has a test and every test names its promise."""

from typing import NamedTuple


class Promise(NamedTuple):
    """A sentence a user may rely on, and where it comes from."""

    sentence: str
    source: str


PROMISES = {
    "house.faults": Promise(
        "Every row of the fail-closed table has a test that really breaks its part, and they are counted.",
        "issue 7, shows when done",
    ),
    "house.promises": Promise(
        "Every promise has a test and every test names its promise.",
        "issue 3, how we test",
    ),
    "house.form": Promise(
        "The code keeps the house rules that a machine can check.",
        "architecture, section 1",
    ),
    "house.bench": Promise(
        "A figure of the bench is what the samples say, and a promised one that is missed is shown as missed.",
        "issue 7, build 3",
    ),
    "engine.contract": Promise(
        "Every way of reaching OPA answers alike: the result, or a refusal with its code.",
        "issue 3, build 2",
    ),
    "engine.strict": Promise(
        "Anything but one whole 200 with a result, from an OPA on this machine, is a refusal.",
        "architecture, section 4",
    ),
    "engine.agree": Promise(
        "OPA and the policy it compiled give the same answers.",
        "issue 5, shows when done",
    ),
    "engine.loads": Promise(
        "A compiled policy that is damaged, foreign, or needs what we do not have is not loaded.",
        "issue 5, build 5",
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
    "api.hostile": Promise(
        "Hostile HTTP ends as a problem or a closed connection: nothing is allowed or echoed, others are served.",
        "issue 7, build 6",
    ),
    "fuzz": Promise(
        "Whatever bytes come as a query, a token or an engine's reply are read as what they say, or refused.",
        "issue 7, build 6",
    ),
    "cli.alone": Promise(
        "Each command works in an interpreter that has imported nothing else.",
        "issue 3, build 7",
    ),
    "cli.doctor": Promise(
        "`pdp doctor` finds what is wrong with a deployment, says what to do, and changes nothing.",
        "issue 7, build 8",
    ),
    "cli.keys": Promise(
        "A key is handed over into a new file that only its owner reads, before it works.",
        "issue 3, build 7",
    ),
    "cli.why": Promise(
        "A recorded decision is explained as far as it can be, and nothing in it plays with the terminal.",
        "issue 3, shows when done",
    ),
    "policy.reads": Promise(
        "What a rule is said to read is everything that can change its answer.",
        "issue 5, build 3",
    ),
    "policy.diff": Promise(
        "Which answers a new policy changes is known before, for whom, and how many more approvals that makes.",
        "issue 5, build 3",
    ),
    "policy.pages": Promise(
        "Every rule has a page that says what the rule says, in its own words, with its values and its cases.",
        "issue 5, build 3",
    ),
    "policy.why": Promise(
        "A decision judged again is the recorded one, or that is said loudly; a change said to flip it does.",
        "issue 5, build 3",
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
    "house.wheel_alone": Promise(
        "With PDP_ENGINE=wasm the wheel serves decisions where there is no OPA at all.",
        "issue 5, build 5",
    ),
    "house.wheel": Promise(
        "What is installed from the wheel is whole.",
        "architecture, section 1",
    ),
    "policy.readme": Promise(
        "The guide to the first guard and every recipe of the policy README run as written, from an empty org folder.",
        "issue 5, build 6",
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
    "fault.chaos": Promise(
        "However often parts are killed under load, every answer given is on record and no approval is used twice.",
        "issue 7, shows when done",
    ),
    "fault.soak": Promise(
        "While parts break all the time nobody is allowed what is not right, and no request hangs.",
        "issue 7, shows when done",
    ),
    "fault.unexpected": Promise(
        "Whatever else goes wrong is a recorded deny.",
        "architecture, section 4",
    ),
    "fault.opa_late": Promise(
        "An OPA that answers late, with an error or with half an answer is a recorded deny.",
        "architecture, section 4",
    ),
    "fault.opa_empty": Promise(
        "A policy that lists no rules allows nothing, and the service is not ready.",
        "architecture, section 4",
    ),
    "fault.store_silent": Promise(
        "A database that went silent holds up nobody for good: not who asks, not who comes later, not a stop.",
        "issue 7, build 5",
    ),
    "fault.store_broken": Promise(
        "A locked, overwritten or slow store is a recorded deny in time, and calls are allowed once it is well.",
        "issue 7, build 5",
    ),
    "fault.log_broken": Promise(
        "A log on a full, hanging or failing disk, or changed by others, answers nobody but by 503, and recovers.",
        "issue 7, build 5",
    ),
    "fault.clock": Promise(
        "A clock that jumps, either way, makes nothing valid that is not, and calls are allowed again after it.",
        "issue 7, build 5",
    ),
    "fault.keys_gone": Promise(
        "Without an issuer's keys its callers are denied on record, and allowed when the keys are back.",
        "issue 7, build 5",
    ),
    "fault.client_gone": Promise(
        "A call whose asker is gone ends by its deadline, on record, and leaves nothing behind.",
        "issue 7, build 5",
    ),
    "fault.stopping": Promise(
        "A service that is told to stop answers what is under way, and takes nothing new.",
        "issue 7, build 5",
    ),
    "fault.deadline": Promise(
        "A decision that is late is a recorded deny.",
        "architecture, section 4",
    ),
    "serve.secrecy": Promise(
        "No secret is in a file that others read, in an argument, a log, a metric, an error or a core dump.",
        "issue 7, build 8",
    ),
    "serve.tls": Promise(
        "With TLS only those get in who trust our certificate, and show theirs where that is demanded.",
        "issue 7, build 8",
    ),
    "serve.handshakes": Promise(
        "Whoever has not shaken hands over TLS holds one of few places, and gives way to those who come.",
        "issue 7, build 6",
    ),
    "serve.wasm": Promise(
        "With PDP_ENGINE=wasm the service decides without OPA, by choice and never by fallback.",
        "issue 5, build 5",
    ),
    "serve.workers": Promise(
        "Workers serve as one, each with its own log and engine, and end together.",
        "architecture, section 5",
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
    "store.turns": Promise(
        "Who waits for a lock of the store keeps neither connections nor turns from those who need it not.",
        "issue 7, build 2",
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
    "log.together": Promise(
        "Entries of calls under way together are written together, and none waits long for another.",
        "issue 7, build 1",
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
    "store.free": Promise(
        "A change that was given up in the middle holds up no other change.",
        "architecture, section 4",
    ),
    "log.cut": Promise(
        "A log that lost its end, or that another was put in the place of, is found, and nothing is decided on it.",
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
    "record.nowhere": Promise(
        "A masked value, a token or a key is in no answer, page, message, trace, metric, log, file or command.",
        "issue 7, build 7 and 8",
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
    "api.bounds": Promise(
        "Everything that grows with what others do has a bound, and the page for operators says which.",
        "issue 7, item 2",
    ),
    "serve.memory": Promise(
        "Threads share what memory is free: what many held once is not kept for each of them.",
        "issue 7, build 2",
    ),
    "metrics.bounded": Promise(
        "No caller can make a new series of the metrics, whatever it names, nor have them written all the time.",
        "issue 7, item 9",
    ),
    "metrics.true": Promise(
        "What the metrics say is what happened, and the dashboard and the alerts ask for nothing else.",
        "issue 7, item 9",
    ),
    "alerts.fire": Promise(
        "An alert is silent while all is well and fires when its part really breaks, and says what to do.",
        "issue 7, item 9",
    ),
    "traces.tree": Promise(
        "A traced decision is one span with a span a word below it, and no caller says what is traced.",
        "issue 7, item 9",
    ),
    "traces.discreet": Promise(
        "No trace holds an argument, a credential, a person or any text that a caller made up.",
        "issue 7, items 7 and 9",
    ),
    "traces.harmless": Promise(
        "A collector that is away, hangs or lies, or a tracer that breaks, neither delays nor changes a decision, "
        "loses none, and does not hold up the end of the service.",
        "issue 7, item 9",
    ),
    "traces.settings": Promise(
        "A variable of OpenTelemetry that cannot be worked with is named in a sentence; no other ends the start.",
        "issue 7, item 9",
    ),
    "traces.private": Promise(
        "Traces go to this machine or over TLS, unless an unsafe name lets them.",
        "the charter: what weakens security is called unsafe",
    ),
    "api.overload": Promise(
        "Too much at once is turned away at once with a deny, and no adapter takes the room of another.",
        "issue 7, item 2",
    ),
    "query.canonical": Promise(
        "Canonical JSON is that of RFC 8785, however it was written.",
        "contracts, section 6",
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
    "adapter.duties": Promise(
        "A duty that an adapter does not know exactly denies the call.",
        "contracts, section 1",
    ),
    "adapter.limit": Promise(
        "Of a limited result as much is handed on as the policy says, or nothing.",
        "issue 5, build 1",
    ),
    "adapter.list": Promise(
        "Callers are shown the tools they may call at all.",
        "issue 3, build 8",
    ),
    "adapter.methods": Promise(
        "What is not decided on is denied, unless an unsafe name lets it through.",
        "issue 3, build 8",
    ),
    "adapter.notify": Promise(
        "Those whom the policy names are told before the call is made, or it is not made.",
        "issue 5, build 1",
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
    "policy.arguments": Promise(
        "Files, hosts, values and hours of a call are those that the organisation's config.yaml names.",
        "issue 5, build 1",
    ),
    "policy.ready": Promise(
        "The pack that comes compiled is used for the files it was made from, and for no others.",
        "issue 5, build 5",
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
    "policy.examined": Promise(
        "Examples and decision tables, the organisation's too, come out as they say, or the check names them.",
        "issue 5, build 2",
    ),
    "policy.org": Promise(
        "An organisation's folder adds names and values; nothing else in it has effect, and nothing in it is ignored.",
        "architecture, section 3",
    ),
    "policy.mutants": Promise(
        "A change of a rule that no test of the pack notices is found, and counted.",
        "issue 5, shows when done",
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
        "No policy answers that says yes to nothing, fails what is known, or gains by a lost fact.",
        "architecture, section 3",
    ),
    "policy.schema": Promise(
        "A misspelt field of the input is found before a rule runs.",
        "architecture, section 3",
    ),
    "policy.words": Promise(
        "Every word that rules are written with says what it means, and none is recommended that is not there.",
        "issue 5, build 1",
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
    "live.switch": Promise(
        "Policy is replaced under load without a failed request, and every answer is of the one policy it names.",
        "issue 5, shows when done",
    ),
    "live.refused": Promise(
        "A bad policy never replaces a good one, and says why in log, metric, API and record.",
        "issue 5, build 4",
    ),
    "live.recorded": Promise(
        "No policy comes into force that is not on record, with what changed and who or what made it change.",
        "issue 5, build 4",
    ),
    "live.watched": Promise(
        "Every way of changing the policy files is noticed, once they are at rest; the last change wins.",
        "issue 5, build 4",
    ),
    "live.api": Promise(
        "A key with the scope `policy` sees the policy, renews it, and fetches the bundle as OPA does; no other does.",
        "contracts, section 1",
    ),
    "live.sidecar": Promise(
        "A sidecar is believed under the policy in force and the one it was offered, and under no other.",
        "issue 5, build 4",
    ),
    "policy.visible": Promise(
        "What a caller may see follows from floors and the rules about callers alone.",
        "contracts, section 1",
    ),
    "policy.check": Promise(
        "`pdp check` is green only when all is well, and a problem has its file, its line and what to do.",
        "issue 5, build 3",
    ),
    "policy.new": Promise(
        "A rule that `pdp policy new` writes is complete, safe and green before anybody edits it.",
        "issue 5, build 3",
    ),
    "policy.try": Promise(
        "`pdp try` says what the rules say to a table of cases, to one call and to a recorded one.",
        "issue 5, build 3",
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
    "approvals.commands": Promise(
        "People list, look at, approve and deny calls at a prompt, with a token of their own.",
        "issue 6, build 6",
    ),
    "approvals.seen": Promise(
        "A request is shown to those behind the call, those who voted and those who may vote, and to nobody else.",
        "issue 6, build 4 and 5",
    ),
    "console.answers": Promise(
        "People sign in at their issuer, see what waits, and answer it in a browser, at phone and desktop width.",
        "issue 6, build 5",
    ),
    "console.own_call": Promise(
        "The console offers nobody to approve their own call, and counts no vote of theirs or of who is not eligible.",
        "issue 6, build 3 and 5",
    ),
    "console.withdraws": Promise(
        "Whom a call is made for withdraws the question in the console; they or a voter take back an unused approval.",
        "issue 6, build 4 and 5",
    ),
    "console.forms": Promise(
        "Only a form of this very session, sent from one of our pages, changes anything; looking changes nothing.",
        "issue 6, build 5; research approvals-audit-registry.md, section 1.5",
    ),
    "console.headers": Promise(
        "Every page forbids inline scripts and styles, foreign content, frames and caches.",
        "issue 6, build 5",
    ),
    "console.plain": Promise(
        "Nothing from a call is rendered as markup; what hides, reorders or imitates is shown as what it is.",
        "issue 6, build 5; research approvals-audit-registry.md, section 1.5",
    ),
    "console.session": Promise(
        "A session is sealed in a cookie and holds while its token is good for the desk, which every page verifies.",
        "issue 6, build 5; identity.md, section 1",
    ),
    "console.sign_in": Promise(
        "A sign-in opens only the browser that began it, once, for a token the desk accepts, and leads to our pages.",
        "issue 6, build 5; RFC 9700, section 2.1",
    ),
    "console.accessible": Promise(
        "Every text of the console is readable in light and dark, every control named and large enough for a finger.",
        "issue 6, build 5; WCAG 2.2, 1.4.3 and 2.5.8",
    ),
    "console.live": Promise(
        "Open pages learn of a change within a second or two; streams are bounded and end when the service stops.",
        "issue 6, build 5",
    ),
    "approvals.not_worn_out": Promise(
        "Nobody is asked again about a call they refused a moment ago, and no caller floods those who answer.",
        "issue 6, build 8",
    ),
    "approvals.plain": Promise(
        "Text of a call is shown to people so that nothing in it hides, turns around or imitates unnoticed.",
        "issue 6, build 5",
    ),
    "notify.signed": Promise(
        "Who is to be told of an approval gets a thin message, signed, without the call's arguments.",
        "issue 6, build 6",
    ),
    "notify.once_each": Promise(
        "Each event reaches each receiver that wants it, again only with the same id, or is kept as dead and counted.",
        "issue 6, build 6",
    ),
    "notify.with_the_step": Promise(
        "A step and the news of it are written together: neither is there without the other.",
        "issue 6, build 6",
    ),
    "notify.reminders": Promise(
        "While nobody decides, people are reminded and others told, once each; time alone approves nothing.",
        "issue 6, build 8",
    ),
    "notify.aside": Promise(
        "Whoever is told, or cannot be, holds up neither a decision nor a vote.",
        "issue 6, build 6",
    ),
    "approvals.habits": Promise(
        "How often and how fast people agree is counted without their names, and reported with them to operators.",
        "issue 6, build 8",
    ),
    "notify.chat": Promise(
        "Chats and mailboxes are told where Apprise is installed; without it the service says what to install.",
        "issue 6, build 6",
    ),
    "notify.outside": Promise(
        "Webhooks go over TLS to public addresses, to the very address that was checked, and follow no redirect.",
        "issue 6, build 6",
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
