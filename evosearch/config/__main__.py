"""`python -m evosearch.config > configs/schema.json` renews the schema beside the configurations."""

import sys

from evosearch.config.schema import schema_text

sys.stdout.write(schema_text())
