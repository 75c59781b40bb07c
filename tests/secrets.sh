# Look for keys and passwords in every file that is kept. There is no list of known ones: nothing may be found.
# Left out: hashes of packages and of scripts taken over, and pictures. Lines left out by --exclude-lines are names of
# classes and limits in the settings, an event's name, and addresses with the words "user:password" as an example.
# Tests are full of made-up passwords and digests, so there only keys of a known shape are looked for.
set -eu
BIN=${BIN:-.venv/bin}
git ls-files -z -- . ':!tests' ':!requirements*.txt' ':!static/vendor/*' ':!docs/screenshots' |
    xargs -0 "$BIN/detect-secrets-hook" --exclude-lines \
        'portal\.accounts\.|[0-9]+/[0-9]*[mh]/(ip|key|user)|://[a-z_@.]+:password@|user\.password_set'
git ls-files -z -- tests static/vendor |
    xargs -0 "$BIN/detect-secrets-hook" --disable-plugin KeywordDetector --disable-plugin BasicAuthDetector \
        --disable-plugin Base64HighEntropyString --disable-plugin HexHighEntropyString
