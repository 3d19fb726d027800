"""`python -m modelyard.cli`, where the script is not on PATH."""

import sys

from modelyard.cli.main import main

sys.exit(main())
