#!/bin/bash
# Writes the report of the run @RUN@ when its tasks have ended; written by `@COMMAND@`.
@OPTIONS@
set -u
exec @REPORT@ @WORDS@
