"""The demo's token issuer, without a server.

    issuer.py keys        make the key pairs, unless they are there, and publish the public halves
    issuer.py mint NAME   print an access token of the sample caller NAME (pdp/dev/seed.py)

The private keys stay in a volume that only this service mounts; the PDP reads the public key set from another.
"""

import json
import os
import sys
from pathlib import Path

from pdp.dev.issuer import DevIssuer, open_issuer
from pdp.dev.seed import tokens
from pdp.times import system_clock

PRIVATE = Path("/run/pdp/key")
PUBLIC = Path("/run/pdp/issuer/jwks.json")


def publish(issuer: DevIssuer) -> None:
    """Write the public key set where the PDP reads it."""
    PUBLIC.write_text(json.dumps(issuer.key_set()))


def main() -> None:
    """Run one of the two commands."""
    issuer = open_issuer(PRIVATE, os.environ["DEMO_ISSUER"])
    if sys.argv[1:] == ["keys"]:
        publish(issuer)
    elif sys.argv[1:2] == ["mint"] and len(sys.argv) == len(["issuer.py", "mint", "NAME"]):
        print(tokens(issuer, system_clock())[sys.argv[2]])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main()
