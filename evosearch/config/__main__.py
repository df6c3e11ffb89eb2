"""What is generated from the configuration: `python -P -m evosearch.config schema|reference` prints it."""

import sys

from evosearch.config.schema import config_reference, schema_text

sys.stdout.write(f"{config_reference()}\n" if sys.argv[1:] == ["reference"] else schema_text())
