#!/usr/bin/env python3
"""hooksink.py PORT SECRET - listen for webhooks on 127.0.0.1 and check how they are signed.

Answers 204 to a delivery of Gitea, GitHub, GitLab or the generic kind whose signature (GitLab: token) fits
SECRET, else 401, and prints one line of JSON for each: ok, the header that was checked, ref and repository.
PORT 0 takes a free one. The first line printed is the port.
"""
import hashlib
import hmac
import http.server
import json
import sys

SIGNATURES = ("X-Gitea-Signature", "X-Hub-Signature-256", "X-Signature-256")


def check(headers, body, secret):
    """Return the header that holds a valid signature, or None."""
    if hmac.compare_digest(headers.get("X-Gitlab-Token", ""), secret):
        return "X-Gitlab-Token"
    expected = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    for name in SIGNATURES:
        if hmac.compare_digest(headers.get(name, "").removeprefix("sha256="), expected):
            return name
    return None


class Sink(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        by = check(self.headers, body, sys.argv[2])
        push = json.loads(body)
        print(json.dumps({"ok": by is not None, "by": by, "ref": push["ref"],
                          "repository": push["repository"]["full_name"]}), flush=True)
        self.send_response(204 if by else 401)
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Sink)
print(server.server_port, flush=True)
server.serve_forever()
