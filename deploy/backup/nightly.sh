#!/bin/sh
# A dump beside those of before, of which those older than so many days go once it is whole.
#   DATABASE_URL=postgresql://… deploy/backup/nightly.sh FOLDER DAYS
# DATABASE_DIRECT_URL, if it is set, comes first: a dump goes past a pooler.
set -eu
folder=${1:?names the folder of the dumps}
days=${2:?says for how many days they are kept}
DATABASE_URL=${DATABASE_DIRECT_URL:-${DATABASE_URL:?is the address of the database}}
export DATABASE_URL

file=$folder/atrium-$(date -u +%Y%m%dT%H%M%SZ).dump
"$(dirname "$0")/dump.sh" "$file"
find "$folder" -maxdepth 1 -type f -name 'atrium-*.dump' -mtime "+$days" ! -path "$file" -delete
# Of one that was killed.
find "$folder" -maxdepth 1 -type f -name 'atrium-*.dump.part' -mtime +1 -delete
echo "$file"
