#!/bin/sh
# A physical backup: a copy of the server's files, from which the archived log leads to any later moment.
#   REPLICATION_URL=postgresql://… deploy/backup/base-backup.sh FOLDER
# The role needs REPLICATION. FOLDER must not exist; it appears when it is whole and verified.
set -eu
: "${REPLICATION_URL:?is the address of the server, with a role that may replicate}"
folder=${1:?names the folder to write}

if [ -e "$folder" ]; then
  echo "$folder is there already" >&2
  exit 1
fi
umask 077
trap 'rm -rf "$folder.part"' EXIT
pg_basebackup --dbname="$REPLICATION_URL" --pgdata="$folder.part" --wal-method=stream --checkpoint=fast
pg_verifybackup --quiet "$folder.part"
mv "$folder.part" "$folder"
