"""`make load`, or `python -m tests.load [PART …]`."""

import sys
from tests.load import polling

print(polling.run(int(sys.argv[1]), float(sys.argv[2])).text())
