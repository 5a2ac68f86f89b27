"""What can go wrong, in one tree.

    PdpError
    ├── Refused         a value to show: the call is denied, with a code, on record
    │   └── OtherPolicy the engine runs another policy than expected
    ├── Rejected        a request we do not decide on: an HTTP problem, nothing recorded as a decision
    └── Fault           a bug or an outage to fix; an operator reads the sentence and knows what to do
        └── Unrecorded  the log did not take the entry: 503, never an allow

A refusal code stands once in `REFUSALS`; `title` says what happened, `remedy` what the reader can do.
"""

from typing import NamedTuple

import msgspec

NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError)
"""What msgspec raises for bytes that are not the JSON we expect; the second for bytes that are not UTF-8."""


class Meaning(NamedTuple):
    """The words of a refusal code: what happened, and what the reader can do about it."""

    title: str
    remedy: str


REFUSALS: dict[str, Meaning] = {
    "identity.assertion_refused": Meaning(
        "The adapter may not vouch for callers", "Send the caller's access token and let the PDP verify it."
    ),
    "identity.token_missing": Meaning("No access token was given", "Send the caller's access token."),
    "identity.token_oversize": Meaning("The access token is too large", "Ask the issuer for a smaller token."),
    "identity.token_malformed": Meaning("The access token is not a strict compact JWS", "Obtain a fresh token."),
    "identity.token_type": Meaning(
        "This is not an access token", "Send an access token, not an ID token or another kind."
    ),
    "identity.issuer_unknown": Meaning(
        "The token's issuer is not configured", "An operator adds the issuer to PDP_ISSUERS."
    ),
    "identity.algorithm": Meaning(
        "The token's algorithm is not allowed for its issuer", "An operator checks the issuer's `algorithms`."
    ),
    "identity.key_unknown": Meaning(
        "The token names a key its issuer does not publish", "Obtain a fresh token; the issuer may have rotated."
    ),
    "identity.keys_unavailable": Meaning(
        "The issuer's keys could not be read", "An operator checks that the issuer can be reached from the PDP."
    ),
    "identity.signature": Meaning("The token's signature is wrong", "Obtain a fresh token from the issuer."),
    "identity.expired": Meaning("The access token has expired", "Obtain a fresh token and repeat the call."),
    "identity.not_yet_valid": Meaning(
        "The access token is not valid yet", "Check the clocks of issuer and PDP; then repeat the call."
    ),
    "identity.lifetime": Meaning(
        "The access token lives longer than its issuer is allowed", "Ask the issuer for a shorter-lived token."
    ),
    "identity.claims": Meaning(
        "The access token lacks a claim or carries a bad one", "An operator compares it with the issuer's profile."
    ),
    "identity.audience": Meaning(
        "The access token was issued for another server", "Obtain a token whose audience is this server."
    ),
    "identity.sender_constraint": Meaning(
        "The token is bound to a key that the call did not prove", "Send the proof that the token demands."
    ),
    "identity.tenant": Meaning(
        "The access token is of another tenant than its issuer", "An operator checks the issuer's `profile`."
    ),
    "identity.binding": Meaning(
        "The token is bound in a way that cannot be checked here", "Ask the issuer for DPoP or a certificate, not both."
    ),
    "identity.certificate": Meaning(
        "The token is bound to another client certificate", "Connect with the certificate it was issued to."
    ),
    "identity.proof_malformed": Meaning(
        "The DPoP proof is not a strict compact JWS", "Make the proof anew (RFC 9449)."
    ),
    "identity.proof_type": Meaning("This is not a DPoP proof", "Make the proof with `typ` dpop+jwt."),
    "identity.proof_algorithm": Meaning(
        "The DPoP proof's algorithm is not allowed", "Sign it with an asymmetric algorithm, such as ES256."
    ),
    "identity.proof_key": Meaning(
        "The DPoP proof carries no usable public key", "Put the public key, and only that, into `jwk`."
    ),
    "identity.proof_key_other": Meaning(
        "The DPoP proof was made with another key than the token's", "Use the key it was issued to."
    ),
    "identity.proof_signature": Meaning("The DPoP proof's signature is wrong", "Make the proof anew (RFC 9449)."),
    "identity.proof_claims": Meaning(
        "The DPoP proof lacks a claim or carries a bad one", "Give `jti`, `htm`, `htu`, `iat` and `ath`."
    ),
    "identity.proof_method": Meaning("The DPoP proof was made for another method", "Make a proof for this request."),
    "identity.proof_url": Meaning("The DPoP proof was made for another address", "Make a proof for this request."),
    "identity.proof_token": Meaning("The DPoP proof was made for another token", "Make a proof for this token."),
    "identity.proof_time": Meaning(
        "The DPoP proof is too old or from the future", "Make a fresh proof; check the clocks."
    ),
    "identity.proof_replayed": Meaning(
        "The DPoP proof was already used for another call", "Make a fresh proof for every call."
    ),
    "identity.proofs_full": Meaning(
        "Too many DPoP proofs came in a short time", "Repeat in two minutes; an operator looks for a flood."
    ),
    "identity.ambiguous": Meaning(
        "Person and agent behind the token cannot be told apart", "Use a token with `act`, or register the client."
    ),
    "identity.person_unknown": Meaning("The person is not known here", "An operator imports the person."),
    "identity.person_inactive": Meaning("The person is not active", "An operator reactivates the person."),
    "identity.agent_unknown": Meaning("The agent is not registered", "An operator registers the agent."),
    "identity.client_unknown": Meaning(
        "The client is neither a registered agent nor one that people use themselves",
        "An operator registers the agent, or adds the client to the issuer's `direct_clients`.",
    ),
    "identity.agent_inactive": Meaning("The agent is not active", "An operator reactivates the agent."),
    "identity.delegation_missing": Meaning(
        "The person has not delegated to this agent", "The person delegates to the agent, or calls directly."
    ),
    "identity.chain_broken": Meaning(
        "An agent was handed the task by one that may not hand it on", "An operator registers it as a subagent."
    ),
    "identity.session_revoked": Meaning("The session was revoked", "Sign in again."),
    "identity.client_revoked": Meaning(
        "The client that obtained the token was revoked", "An operator reinstates it: pdp identity reinstate client."
    ),
    "facts.unavailable": Meaning(
        "Facts about the caller could not be read", "Repeat later; an operator checks the store."
    ),
    "facts.stale": Meaning(
        "Facts about the caller are too old to rely on", "Repeat later; an operator checks the store."
    ),
    "tool.unknown": Meaning("The tool is not registered", "An operator imports and approves the tool."),
    "tool.unapproved": Meaning(
        "The tool's definition awaits approval", "An operator reviews it: pdp registry approve."
    ),
    "tool.drifted": Meaning(
        "The tool's definition is not the approved one", "An operator reviews the change: pdp registry show."
    ),
    "tool.quarantined": Meaning("The tool is quarantined", "An operator reviews the tool."),
    "tool.revoked": Meaning("The tool was revoked", "Use another tool."),
    "tool.arguments": Meaning(
        "The arguments do not fit the tool's approved schema", "Correct the arguments and call again."
    ),
    "permits.none": Meaning(
        "Nobody has given this caller the right to this call", "An operator grants an entitlement for the tool."
    ),
    "approvals.unavailable": Meaning(
        "The request for approval could not be stored", "Repeat later; an operator checks the store."
    ),
    "approvals.denied": Meaning(
        "A person refused this very call a short while ago", "Do what they say, or make another call; do not repeat it."
    ),
    "approvals.too_many": Meaning(
        "Too many calls of this caller wait for people already", "Wait until some are decided, or cancel some."
    ),
    "approvals.expired": Meaning(
        "Nobody decided about this call in time", "Tell the user. Call again only if they want people asked once more."
    ),
    "approvals.withdrawn": Meaning(
        "The request for approval was withdrawn", "Tell the user. Call again only if they want people asked once more."
    ),
    "approvals.spent": Meaning(
        "The approval was used or withdrawn while this call was decided", "Call again: that asks for another approval."
    ),
    "duties.undefined": Meaning(
        "A duty of the policy could not be worked out", "A policy author checks the pack: pdp policy check."
    ),
    "duties.unknown": Meaning(
        "The answer asks for a duty that this adapter cannot perform", "An operator updates the adapter."
    ),
    "duties.failed": Meaning(
        "Somebody must be told of this call, and could not be", "Repeat shortly; an operator checks the adapter's log."
    ),
    "duties.withheld": Meaning(
        "The result could not be redacted or limited as the policy asks",
        "Ask for less; an operator gives the tool an output schema.",
    ),
    "adapter.method": Meaning("Only tool calls are decided on, so this request is denied", "Use the server's tools."),
    "pdp.unreachable": Meaning(
        "The decision service cannot be reached", "Repeat shortly; an operator checks the PDP and its address."
    ),
    "pdp.late": Meaning("The decision service did not answer in time", "Repeat shortly; an operator checks the PDP."),
    "pdp.garbled": Meaning(
        "The decision service's answer could not be read", "An operator checks the versions of adapter and PDP."
    ),
    "pdp.rejected": Meaning(
        "The decision service did not take the adapter's question",
        "An operator checks the adapter's key and server id.",
    ),
    "engine.unavailable": Meaning("The policy engine is away", "Repeat shortly; an operator checks OPA."),
    "engine.timeout": Meaning("The policy engine did not answer in time", "Repeat shortly; an operator checks OPA."),
    "engine.garbled": Meaning("The policy engine's answer could not be read", "An operator checks OPA and the policy."),
    "engine.undefined": Meaning("The policy gave no verdict", "An operator checks that the policy pack is loaded."),
    "engine.revision": Meaning(
        "The policy engine runs another policy than expected", "An operator waits for the rollout or reloads OPA."
    ),
    "deadline": Meaning("The decision was not ready in time", "Repeat the call."),
    "fault": Meaning("The PDP met an unexpected condition", "An operator looks up the decision id in the PDP's log."),
    "overload": Meaning("Too many calls are being decided", "Repeat the call a little later."),
    "audit.unavailable": Meaning("The decision could not be recorded", "An operator checks the disk of the PDP's log."),
}


class PdpError(Exception):
    """The root of everything this package raises on purpose."""


class Refused(PdpError):
    """The call is denied for the reason `code`. `note` goes to the record, never to the caller."""

    def __init__(self, code: str, note: str = "") -> None:
        super().__init__(code, note)
        self.code = code
        self.note = note
        self.meaning = REFUSALS[code]


class OtherPolicy(Refused):
    """The engine answered under another policy than the call is judged by; `revision` is the one it named."""

    def __init__(self, expected: str, revision: str) -> None:
        super().__init__("engine.revision", f"expected {expected}, the engine runs {revision}")
        self.revision = revision


class Rejected(PdpError):
    """A request that is not decided on: becomes an RFC 9457 problem with `status`, `code` and `title`."""

    def __init__(self, status: int, code: str, title: str, *, headers: dict[str, str] | None = None) -> None:
        super().__init__(status, code, title)
        self.status = status
        self.code = code
        self.title = title
        self.headers = headers or {}

    def fresh(self) -> "Rejected":
        """Return one like this to raise: what is raised again keeps the frames of each time, and what is in them."""
        return Rejected(self.status, self.code, self.title, headers=self.headers)


class Fault(PdpError):
    """Something is broken or misconfigured; the message tells an operator what to do next."""


class Unrecorded(Fault):
    """The log did not take the entry in time, so nobody may be told the decision."""
