set -e
work=$(mktemp -d)
mkdir "$work/from" "$work/to"
echo one >"$work/from/a.txt"
sh backup.sh "$work/from" "$work/to"
grep -q one "$work/to/a.txt.bak"
rm -r "$work"
