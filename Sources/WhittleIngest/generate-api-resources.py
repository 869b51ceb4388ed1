#!/usr/bin/env python3
"""Writes BuiltIn/api-resources.tsv from the discovery documents of an API server.

usage: generate-api-resources.py DISCOVERY_DIR CRDS.json VERSION > BuiltIn/api-resources.tsv

DISCOVERY_DIR holds the APIGroupList of /apis, whose order of groups and versions is kept, and the APIResourceLists of /api/v1
and /apis/GROUP/VERSION as .json files; anything else in it is skipped. CRDS.json is a list with the server's CustomResourceDefinitions, whose groups are left out: they are not Kubernetes'
own. VERSION is the server's minor version, for example v1.36.
"""
import json
import pathlib
import sys


def documents(folder, kind):
    for path in sorted(pathlib.Path(folder).rglob("*.json")):
        document = json.loads(path.read_text())
        if document.get("kind") == kind:
            yield document


def served_order(folder):
    """Every group version in the order that the server prefers, the core group first."""
    groups = [group for document in documents(folder, "APIGroupList") for group in document["groups"]]
    return ["v1"] + [version["groupVersion"] for group in groups for version in group["versions"]]


def custom_groups(path):
    items = json.loads(pathlib.Path(path).read_text())["items"]
    return {item["spec"]["group"] for item in items if item.get("kind", "CustomResourceDefinition") == "CustomResourceDefinition"}


def rows(folder, without):
    order = served_order(folder)
    for document in sorted(documents(folder, "APIResourceList"), key=lambda d: order.index(d["groupVersion"])):
        group, _, version = document["groupVersion"].rpartition("/")
        if group in without:
            continue
        for resource in sorted(document["resources"], key=lambda r: r["name"]):
            yield (
                group, version, resource["name"], resource["kind"], resource.get("singularName", ""),
                ",".join(resource.get("shortNames", [])), str(resource["namespaced"]).lower(), ",".join(sorted(resource["verbs"])),
            )


def main():
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    folder, crds, version = sys.argv[1:]
    print(f"# Kubernetes {version}: apiGroup, version, resource, kind, singular, shortNames, namespaced, verbs")
    for row in rows(folder, custom_groups(crds)):
        print("\t".join(row))


main()
