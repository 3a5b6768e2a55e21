#!/bin/sh
# Restores a dump into an empty database, all of it or nothing.
#   DATABASE_URL=postgresql://… deploy/backup/restore-dump.sh FILE
# No instance may run on it. Afterwards, before any starts: migration:run, then atrium -- restored.
set -eu
: "${DATABASE_URL:?is the address of an empty database}"
file=${1:?names the dump}

tables=$(psql --dbname="$DATABASE_URL" --no-psqlrc --tuples-only --no-align --command \
  "SELECT count(*) FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')")
if [ "$tables" != 0 ]; then
  echo "The database has $tables tables: restore into an empty one" >&2
  exit 1
fi
pg_restore --dbname="$DATABASE_URL" --no-owner --no-privileges --exit-on-error --single-transaction "$file"
# Plans are guesses until it has counted. It warns of each table of the system, which only a superuser may count.
psql --dbname="$DATABASE_URL" --no-psqlrc --quiet --command 'SET client_min_messages = error' --command 'ANALYZE'
