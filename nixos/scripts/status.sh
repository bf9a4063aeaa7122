#!/usr/bin/env bash
# Writes units.html and units.json into STATUS_FOLDER from what record.sh wrote down.   STATUS_HOST  PANTHER_STATE
set -euo pipefail
now=$(date +%s)
escape() { sed 's/&/\&amp;/g; s/</\&lt;/g; s/>/\&gt;/g; s/"/\&quot;/g' <<<"$1"; }
since() {
    local s=$((now - $1))
    if [ "$s" -lt 7200 ]; then echo "$((s / 60)) min ago"; elif [ "$s" -lt 172800 ]; then echo "$((s / 3600)) h ago"; else echo "$((s / 86400)) d ago"; fi
}
rows=''
json=''
worst=good
for file in "$PANTHER_STATE"/jobs/*; do
    [ -f "$file" ] || continue
    case $file in *.new) continue ;; esac
    job=${file##*/}
    finished=$(sed -n 's/^finished=//p' "$file")
    code=$(sed -n 's/^exit=//p' "$file")
    success=$(sed -n 's/^success=//p' "$file")
    case $code in
    0) state=good word=good ;;
    3) state=warn word="incomplete" ;;
    *) state=bad word="failed ($code)" ;;
    esac
    case $worst$state in good*) worst=$state ;; warnbad) worst=bad ;; esac
    rows+="<tr class=\"$state\"><td>$(escape "$job")</td><td>$word</td><td>$(since "$finished")</td><td>${success:+$(since "$success")}</td></tr>"$'\n'
    json+="${json:+,}{\"job\":\"$job\",\"exit_code\":$code,\"finished\":$finished,\"success\":${success:-null}}"
done
[ -n "$rows" ] || { rows='<tr class="warn"><td colspan="4">Nothing has run yet.</td></tr>' worst=warn; }
name=$(escape "$STATUS_HOST")
cat >"$STATUS_FOLDER/units.html.new" <<HTML
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="300">
<title>$name: backups $worst</title>
<style>body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem}table{border-collapse:collapse;width:100%}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #ccc}.good td:nth-child(2){color:#176b2c}.warn td:nth-child(2){color:#8a5a00}.bad td:nth-child(2){color:#a40000;font-weight:bold}</style>
</head><body><h1>$name</h1>
<table><thead><tr><th>Job</th><th>State</th><th>Last run</th><th>Last success</th></tr></thead><tbody>
$rows</tbody></table>
<p><a href="index.html">The backups</a>. Written $(date -d "@$now" '+%Y-%m-%d %H:%M %Z').</p></body></html>
HTML
printf '{"host":"%s","written":%s,"state":"%s","jobs":[%s]}\n' "$STATUS_HOST" "$now" "$worst" "$json" >"$STATUS_FOLDER/units.json.new"
mv "$STATUS_FOLDER/units.html.new" "$STATUS_FOLDER/units.html"
mv "$STATUS_FOLDER/units.json.new" "$STATUS_FOLDER/units.json"
