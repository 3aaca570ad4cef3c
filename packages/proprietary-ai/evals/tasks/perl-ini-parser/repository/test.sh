set -e
file=$(mktemp)
printf '[a]\nb=c\n' >"$file"
[ "$(perl ini.pl "$file" a.b)" = c ]
rm "$file"
