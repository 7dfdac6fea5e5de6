#!/usr/bin/env bash
# Two apps made from the template that comes with portbook, each with a backend and a frontend, running
# side by side; a page and the API of each are fetched.
#
#   examples/apps-from-a-template.sh [portbook]
#
# Uses a book of its own in a temporary folder, and ends what it started.
set -euo pipefail
portbook=${1:-portbook}
command -v "$portbook" >/dev/null || { echo "apps-from-a-template.sh: $portbook is not there" >&2; exit 2; }
portbook=$(realpath "$(command -v "$portbook")")

folder=$(mktemp -d)
apps=()
finish() {
    for app in "${apps[@]}"; do kill "$app" 2>/dev/null || true; done
    wait
    rm -rf "$folder"
}
trap finish EXIT
cd "$folder"
export PORTBOOK_STORE="sqlite:$folder/portbook.db"

fetch() { # URL
    for _ in $(seq 100); do
        python3 -c 'import sys, urllib.request; print(urllib.request.urlopen(sys.argv[1]).read().decode().strip())' "$1" \
            2>/dev/null && return
        sleep 0.1
    done
    echo "apps-from-a-template.sh: nothing answers at $1" >&2
    exit 1
}

for model in openai_gpt-4 x-ai/grok-4; do
    home="$folder/${model//\//_}/app1"
    "$portbook" scaffold python-web "$home" "$model" 1
    # The app reads its ports from its own .env.
    "$home/start" >/dev/null 2>&1 &
    apps+=($!)
    # Who wants to know them asks the book.
    eval "$("$portbook" env "$model" 1)"
    fetch "http://127.0.0.1:$FRONTEND_PORT/" | grep "<h1>$PROJECT_NAME</h1>"
    fetch "http://127.0.0.1:$FRONTEND_PORT/config.json"
    fetch "http://127.0.0.1:$BACKEND_PORT/api/health"
done

# The apps' own servers are no conflict: the book remembers where each app is.
"$portbook" check
