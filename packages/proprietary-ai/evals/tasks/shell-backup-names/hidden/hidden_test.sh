set -e
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
mkdir -p "$work/from dir/sub"
echo one >"$work/from dir/a b.txt"
echo two >"$work/from dir/.hidden"
echo three >"$work/from dir/-n"
sh backup.sh "$work/from dir" "$work/to/deep dir"
grep -q one "$work/to/deep dir/a b.txt.bak"
grep -q two "$work/to/deep dir/.hidden.bak"
grep -q three "$work/to/deep dir/-n.bak"
[ "$(ls -A "$work/to/deep dir" | wc -l)" -eq 3 ]
mkdir "$work/empty"
sh backup.sh "$work/empty" "$work/none"
[ -z "$(ls -A "$work/none")" ]
for arguments in "" "$work/missing $work/to" "$work/empty"; do
    code=0
    # shellcheck disable=SC2086 # several arguments are meant
    sh backup.sh $arguments 2>"$work/said" || code=$?
    [ "$code" -eq 2 ]
    [ -s "$work/said" ]
done
