"""A known allow and a known deny: the PDP's own principal and tools, which readiness asks about all the time."""

from .cases import Kind, Person, Right, Row, Table

SERVER = "pdp.probe"
PEP = "pdp:probe"
KNOWN = Table(
    tools={
        f"{SERVER}/known_allow": Kind(risk_class="read", owner="mcp-pdp"),
        f"{SERVER}/known_deny": Kind(risk_class="read", owner="mcp-pdp"),
    },
    people={PEP: Person(roles=[PEP], rights=[Right(tool=f"{SERVER}/known_allow", via=f"role:{PEP}")])},
    cases=[
        Row(case="the known allow", person=PEP, tool=f"{SERVER}/known_allow", expect="allow"),
        Row(case="the known deny", person=PEP, tool=f"{SERVER}/known_deny", expect="deny", because=["permits.none"]),
    ],
)
