"""mcp-pdp: may this person, through this agent, call this tool with these arguments?

These names are the public surface of the base install; everything else may change without notice.
"""

from .answer import Answer, Decision, Reason, Receipt, Risk
from .errors import Fault, PdpError, Refused, Rejected
from .query import Query

__all__ = ["Answer", "Decision", "Fault", "PdpError", "Query", "Reason", "Receipt", "Refused", "Rejected", "Risk"]
