#!/bin/bash
# Writes the report of the run @RUN@ when its tasks have ended; written by `@COMMAND@`.
@OPTIONS@
set -u
# Thousands of small files are folded first; where that cannot be, they are read as they are.
@WORKER@ compact --unattended --results @RESULTS@ --at-least @MANY@ > /dev/null
exec @REPORT@ @WORDS@
