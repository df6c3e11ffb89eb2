"""`python -P -m evosearch.config` prints the JSON schema of configurations: `make docs` keeps it as `configs/schema.json`."""

import sys

from evosearch.config.schema import schema_text

sys.stdout.write(schema_text())
