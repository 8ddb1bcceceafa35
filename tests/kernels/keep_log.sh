#!/bin/sh
# keep_log.sh - runs a compiler and keeps what it says beside the object that it makes, as
# OBJECT.log: sh keep_log.sh nvcc ... -o OBJECT ...
object='' previous=''
for word in "$@"; do
    [ "$previous" = -o ] && object=$word
    previous=$word
done
if "$@" >"$object.log" 2>&1; then
    exit 0
else
    status=$?
    cat "$object.log" >&2
    exit "$status"
fi
