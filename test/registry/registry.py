#!/usr/bin/env python3
"""A stand-in for a Confluent schema registry, in memory, with faults on demand.

    registry.py [--port N] [--prefix /path] [--user NAME:PASSWORD] [--token TOKEN]
                [--tls DIR] [--forever]

Prints its URL and serves until its standard input ends, so that it never
outlives the test that started it, or --forever.  With --tls it makes a
self-signed certificate in DIR/certificate.pem, for localhost and 127.0.0.1.

It does what a reader and a producer of Avro ask: register and look up schemas
(with references), by id, by subject and version.  It judges no schema and no
compatibility: a test may register what a real registry would refuse.

A line of JSON on its standard input is an order, answered by a line: registers
a schema without asking for credentials, sets the fault, or asks how many
requests were served, by path.

    {"register": "clicks-value", "schema": "...", "schemaType": ..., "references": ...}
    {"served": true}
    {"fault": null}                     none
    {"fault": "status", "status": 429}  that status, with an error body
    {"fault": "garbage"}                status 200 and a body that is not JSON
    {"fault": "slow", "seconds": 3}     a right answer, late
    {"fault": "hang"}                   no answer until the fault is changed
"""

import argparse
import base64
import collections
import http.server
import json
import os
import re
import ssl
import subprocess
import sys
import threading
import urllib.parse


class Problem(Exception):
    def __init__(self, status, code, message):
        super().__init__(message)
        self.status, self.code = status, code


class Schemas:
    """What is registered.  Equal schemas share an id, as at Confluent."""

    def __init__(self):
        self.lock = threading.Lock()
        self.ids = {}  # canonical text of a definition → id
        self.definitions = []  # definition of id i + 1
        self.subjects = {}  # subject → ids, by version - 1

    @staticmethod
    def definition(body):
        keys = ("schema", "schemaType", "references")
        if not isinstance(body.get("schema"), str):
            raise Problem(422, 42201, "Empty schema")
        return {key: body[key] for key in keys if key in body}

    def register(self, subject, body):
        definition = self.definition(body)
        text = json.dumps(definition, sort_keys=True)
        with self.lock:
            if text not in self.ids:
                self.definitions.append(definition)
                self.ids[text] = len(self.definitions)
            schema_id = self.ids[text]
            versions = self.subjects.setdefault(subject, [])
            if schema_id not in versions:
                versions.append(schema_id)
            return {"id": schema_id}

    def look_up(self, subject, body):
        schema_id = self.ids.get(json.dumps(self.definition(body), sort_keys=True))
        versions = self.versions(subject)
        if schema_id not in versions:
            raise Problem(404, 40403, "Schema not found")
        return self.version(subject, versions.index(schema_id) + 1)

    def by_id(self, schema_id):
        if not 1 <= schema_id <= len(self.definitions):
            raise Problem(404, 40403, f"Schema {schema_id} not found")
        return self.definitions[schema_id - 1]

    def versions(self, subject):
        if subject not in self.subjects:
            raise Problem(404, 40401, f"Subject '{subject}' not found.")
        return self.subjects[subject]

    def version(self, subject, version):
        versions = self.versions(subject)
        number = len(versions) if version in ("latest", "-1") else int(version)
        if not 1 <= number <= len(versions):
            raise Problem(404, 40402, f"Version {version} not found.")
        schema_id = versions[number - 1]
        return {"subject": subject, "version": number, "id": schema_id, **self.by_id(schema_id)}


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_):
        pass

    def answer(self, status, body):
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/vnd.schemaregistry.v1+json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def check_credentials(self):
        options = self.server.options
        expected = set()
        if options.user:
            expected.add("Basic " + base64.b64encode(options.user.encode()).decode())
        if options.token:
            expected.add("Bearer " + options.token)
        if expected and self.headers.get("Authorization") not in expected:
            raise Problem(401, 401, "Unauthorized")

    def route(self, body):
        schemas = self.server.schemas
        path = urllib.parse.urlsplit(self.path).path
        prefix = self.server.options.prefix
        if not path.startswith(prefix + "/"):
            raise Problem(404, 404, "HTTP 404 Not Found")
        parts = [urllib.parse.unquote(part) for part in path[len(prefix) + 1 :].split("/")]
        match (self.command, *parts):
            case "GET", "schemas", "ids", schema_id if schema_id.isdigit():
                return schemas.by_id(int(schema_id))
            case "GET", "subjects":
                return sorted(schemas.subjects)
            case "POST", "subjects", subject:
                return schemas.look_up(subject, body)
            case "GET", "subjects", subject, "versions":
                return list(range(1, len(schemas.versions(subject)) + 1))
            case "POST", "subjects", subject, "versions":
                return schemas.register(subject, body)
            case "GET", "subjects", subject, "versions", version if re.fullmatch(
                r"-1|latest|\d+", version
            ):
                return schemas.version(subject, version)
        raise Problem(404, 404, "HTTP 404 Not Found")

    def serve(self):
        length = int(self.headers.get("Content-Length") or 0)
        try:
            body = json.loads(self.rfile.read(length) or "{}")
            self.server.served[self.path] += 1
            fault = self.server.fault
            match fault["fault"]:
                case "status":
                    raise Problem(fault["status"], fault["status"] * 100, "a fault on demand")
                case "garbage":
                    return self.answer(200, b"<html>not a schema</html>")
                case "slow" | "hang":
                    with self.server.fault_changed:
                        self.server.fault_changed.wait_for(
                            lambda: self.server.fault is not fault, fault.get("seconds")
                        )
            self.check_credentials()
            self.answer(200, self.route(body))
        except Problem as problem:
            self.answer(
                problem.status, {"error_code": problem.code, "message": str(problem)}
            )
        except (json.JSONDecodeError, UnicodeDecodeError):
            self.answer(400, {"error_code": 400, "message": "the body is not JSON"})
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_GET = do_POST = serve


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, options):
        super().__init__(("127.0.0.1", options.port), Handler)
        self.options = options
        self.schemas = Schemas()
        self.fault = {"fault": None}
        self.fault_changed = threading.Condition()
        self.served = collections.Counter()

    def order(self, order):
        if "register" in order:
            return self.schemas.register(order.pop("register"), order)
        if "served" in order:
            return self.served
        with self.fault_changed:
            self.fault = order
            self.fault_changed.notify_all()
        return {}

    def handle_error(self, *_):
        """A client that hangs up is part of the tests."""


def tls_context(directory):
    certificate = os.path.join(directory, "certificate.pem")
    key = os.path.join(directory, "key.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"]
        + ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        + ["-keyout", key, "-out", certificate],
        check=True,
        stderr=subprocess.DEVNULL,
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    return context


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--prefix", default="")
    parser.add_argument("--user")
    parser.add_argument("--token")
    parser.add_argument("--tls", metavar="DIR")
    parser.add_argument("--forever", action="store_true")
    options = parser.parse_args()

    server = Server(options)
    scheme = "http"
    if options.tls:
        scheme = "https"
        server.socket = tls_context(options.tls).wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    print(f"{scheme}://127.0.0.1:{server.server_port}{options.prefix}", flush=True)
    if options.forever:
        threading.Event().wait()
    for line in sys.stdin:
        print(json.dumps(server.order(json.loads(line))), flush=True)


main()
