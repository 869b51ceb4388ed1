#!/usr/bin/env python3
"""Writes the events of an audit log, one a line, as clouds and shippers write them: audit_forms.py LOG FORM."""
import csv
import json
import sys

COLUMNS = {
    "AuditId": "auditID", "Level": "level", "Stage": "stage", "RequestUri": "requestURI", "Verb": "verb", "User": "user",
    "ImpersonatedUser": "impersonatedUser", "AuthenticationMetadata": "authenticationMetadata", "SourceIps": "sourceIPs",
    "UserAgent": "userAgent", "ObjectRef": "objectRef", "ResponseStatus": "responseStatus", "Annotations": "annotations",
    "RequestObject": "requestObject", "RequestReceivedTime": "requestReceivedTimestamp", "StageReceivedTime": "stageTimestamp",
}


def compact(value):
    return json.dumps(value, separators=(",", ":"))


def flat(value, name):
    if isinstance(value, dict) and value:
        for key, member in value.items():
            yield from flat(member, f"{name}.{key}")
    else:
        yield name, value


def log_entry(event):
    """As Google Cloud has it; None for what is no request for a resource that has ended."""
    ref, annotations = event.get("objectRef") or {}, event.get("annotations") or {}
    if event["stage"] != "ResponseComplete" or not ref:
        return None
    group, version, resource = ref.get("apiGroup") or "core", ref.get("apiVersion", "v1"), ref["resource"]
    namespace = ["namespaces", ref["namespace"]] if ref.get("namespace") and resource != "namespaces" else []
    names = [ref[key] for key in ("name", "subresource") if ref.get(key)]
    method = ".".join(["io.k8s", group, version, resource] + ([ref["subresource"]] if ref.get("subresource") else []) + [event["verb"]])
    allowed = annotations.get("authorization.k8s.io/decision") == "allow"
    return {
        "insertId": event["auditID"], "logName": "projects/p/logs/cloudaudit.googleapis.com%2Fdata_access",
        "timestamp": event["stageTimestamp"], "resource": {"type": "k8s_cluster", "labels": {"cluster_name": "c"}}, "labels": annotations,
        "operation": {"id": event["auditID"], "producer": "k8s.io", "first": True, "last": True},
        "protoPayload": {
            "serviceName": "k8s.io", "methodName": method, "resourceName": "/".join([group, version] + namespace + [resource] + names),
            "authenticationInfo": {"principalEmail": event["user"]["username"]},
            "authorizationInfo": [{"granted": allowed, "permission": method}],
            "requestMetadata": {"callerIp": "10.0.0.7", "callerSuppliedUserAgent": event.get("userAgent")},
            "status": {} if allowed else {"code": 7, "message": "PERMISSION_DENIED"},
        },
    }


def write(events, form, output):
    if form in ("pretty", "list"):
        indent = {"indent": 2} if form == "pretty" else {"separators": (",", ":")}
        output.write("[")
        for number, event in enumerate(events):
            output.write((",\n" if number else "\n") + json.dumps(event, **indent))
        output.write("\n]\n")
    elif form == "column":
        table = csv.writer(output)
        table.writerow(["Category", "log_s"])
        table.writerows(["kube-audit", compact(event)] for event in events)
    elif form == "table":
        table = csv.writer(output)
        table.writerow(COLUMNS)
        cells = ([event.get(name, "") for name in COLUMNS.values()] for event in events)
        table.writerows([cell if isinstance(cell, str) else compact(cell) for cell in row] for row in cells)
    else:
        wrap = {
            "text": lambda event: {"log": compact(event) + "\n", "stream": "stdout"},
            "flat": lambda event: dict(flat(event, "kubernetes.audit")),
            "entry": log_entry,
        }[form]
        for record in map(wrap, events):
            if record:
                output.write(compact(record) + "\n")


with open(sys.argv[1]) as log:
    write(map(json.loads, log), sys.argv[2], sys.stdout)
