#!/bin/sh
# A physical backup: a copy of the server's files, from which the archived log leads to any later moment.
#   REPLICATION_URL=postgresql://… deploy/backup/base-backup.sh FOLDER
# The role needs REPLICATION. FOLDER must not exist; it appears when it is whole and verified.
set -eu
: "${REPLICATION_URL:?is the address of the server, with a role that may replicate}"
folder=${1:?names the folder to write}

for program in pg_basebackup pg_verifybackup; do
  # Before hours of copying, not after.
  if ! command -v "$program" >/dev/null; then
    echo "$program is not on the PATH: add the folder of PostgreSQL's programs (pg_config --bindir)" >&2
    exit 1
  fi
done
if [ -e "$folder" ]; then
  echo "$folder is there already" >&2
  exit 1
fi
umask 077
trap 'rm -rf "$folder.part"' EXIT
pg_basebackup --dbname="$REPLICATION_URL" --pgdata="$folder.part" --wal-method=stream --checkpoint=fast
pg_verifybackup --quiet "$folder.part"
mv "$folder.part" "$folder"
