#!/bin/sh
# Makes a data folder of a base backup, such that the server that is started on it goes on from there, by the archived log,
# to a moment, and is open for writing then, on a timeline of its own.
#   deploy/backup/recover.sh BACKUP ARCHIVE DATA ['2026-11-23 04:05:06+00']
# As the user who runs the server; DATA must not exist. Without a moment: as far as the log goes. Then start the server,
# wait until pg_is_in_recovery() is false, and before any instance starts: migration:run, then atrium -- restored.
set -eu
backup=${1:?names the base backup}
archive=${2:?names the folder of the archive}
data=${3:?names the data folder to make}
moment=${4:-}

if [ -e "$data" ]; then
  echo "$data is there already" >&2
  exit 1
fi
cp -a "$backup" "$data"
chmod 700 "$data"
{
  # Not into the archive of the server of before: its log has another future.
  echo "archive_mode = off"
  echo "restore_command = 'cp \"$archive/%f\" \"%p\"'"
  echo "recovery_target_action = promote"
  if [ -n "$moment" ]; then echo "recovery_target_time = '$moment'"; fi
} >>"$data/postgresql.auto.conf"
touch "$data/recovery.signal"
