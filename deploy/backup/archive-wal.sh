#!/bin/sh
# Keeps a segment of the write-ahead log. In postgresql.conf:
#   wal_level = replica
#   archive_mode = on
#   archive_timeout = 60
#   archive_command = '/path/to/archive-wal.sh /path/to/archive "%p" "%f"'
# PostgreSQL calls it again until it ends with 0, and keeps the segment until then.
set -eu
archive=${1:?names the folder of the archive}
path=${2:?names the segment}
name=${3:?is its name in the archive}

if [ -e "$archive/$name" ]; then
  # Done before, though PostgreSQL was not told. With other content, two servers share an archive.
  cmp -s "$path" "$archive/$name" && exit 0
  echo "$archive/$name is there already, with other content" >&2
  exit 1
fi
cp "$path" "$archive/$name.part"
sync "$archive/$name.part"
mv "$archive/$name.part" "$archive/$name"
