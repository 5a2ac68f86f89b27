"""`pdp log verify`, again and again in one process: a fresh one would spend a second on imports in each round.

Reads data directories, one a line; answers each with the command's exit status and what it printed, as one JSON line.
"""

import io
import json
import os
import sys
from contextlib import redirect_stdout

from pdp.cli.log import log
from pdp.errors import Fault


def verified(data_dir: str) -> dict[str, object]:
    """Run the command as a shell would, and return its exit status and its words."""
    os.environ["PDP_DATA_DIR"] = data_dir
    with redirect_stdout(io.StringIO()) as said:
        try:
            log.main(["verify", "--json"], standalone_mode=False)
            status: object = 0
        except SystemExit as ended:
            status = ended.code
        except Fault as fault:
            return {"status": 1, "said": str(fault)}
    return {"status": status, "said": json.loads(said.getvalue())}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(verified(line.strip())), flush=True)
