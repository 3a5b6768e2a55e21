#!/bin/sh
# A logical backup: all of the database at one moment, readable by the same and every newer PostgreSQL.
#   DATABASE_URL=postgresql://… deploy/backup/dump.sh FILE
# Past a pooler: give PostgreSQL's own address. FILE appears when it is whole, and never before.
set -eu
: "${DATABASE_URL:?is the address of the database}"
file=${1:?names the file to write}

umask 077 # it holds everything: password hashes, secrets, documents
trap 'rm -f "$file.part"' EXIT
pg_dump --dbname="$DATABASE_URL" --format=custom --no-owner --no-privileges --file="$file.part"
# That it can be read, at least to its table of contents.
pg_restore --list "$file.part" >/dev/null
sync "$file.part"
mv "$file.part" "$file"
