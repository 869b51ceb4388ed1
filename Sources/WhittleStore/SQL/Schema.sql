-- Whittle database, schema 5. One file = one cluster at one moment (state) + everything seen of it (usage).
-- SQLite >= 3.37 (STRICT). All text compares byte by byte (BINARY); nothing is folded, trimmed or normalised.
-- Conventions: *_id integer key · time = microseconds since 1970-01-01 UTC · flag = 0 or 1 · '' = the API's empty string
-- (core group, no name, no namespace) · NULL = absent, unknown or any, as the column says.
-- Places: source_id, line, column = where an object is written, 1-based; NULL = not an object of the input.
-- In tables with many rows a CHECK names at most two values after IN: for more SQLite builds a list for each row.
PRAGMA application_id = 0x57484954;                  -- 'WHIT'
PRAGMA user_version = 5;

-- ───────────── about the file ─────────────
CREATE TABLE cluster (                               -- exactly one row
  cluster_id       INTEGER PRIMARY KEY CHECK (cluster_id = 1),  -- always 1
  uid              TEXT,                             -- uid of Namespace kube-system, the cluster's stable identity; NULL not in the input
  name             TEXT,                             -- what the user calls it (--cluster); NULL not given
  server_version   TEXT                              -- gitVersion, 'v1.36.2'; NULL unknown
) STRICT;
CREATE TABLE load_run (                              -- one row per load, the last one is the state below
  load_run_id      INTEGER PRIMARY KEY,              -- 1, 2, …
  loaded_at        INTEGER NOT NULL,                 -- time
  tool_version     TEXT NOT NULL,                    -- version of whittle
  schema_version   INTEGER NOT NULL,                 -- PRAGMA user_version then
  catalogue_version TEXT NOT NULL,                   -- Kubernetes version of the built-in resource catalogue
  input_sha256     TEXT NOT NULL,                    -- hex SHA-256 over the (path, sha256) of all sources
  object_count     INTEGER NOT NULL                  -- objects loaded
) STRICT;
CREATE TABLE source (                                -- every manifest, dump or discovery document of the last load
  source_id        INTEGER PRIMARY KEY,              -- 1, 2, … in reading order
  path             TEXT NOT NULL,                    -- as given; '-' = standard input
  sha256           TEXT NOT NULL,                    -- hex
  byte_count       INTEGER NOT NULL                  -- bytes read
) STRICT;
CREATE TABLE completeness (                          -- which kinds the input held, and so which "nobody" can be believed
  kind             TEXT NOT NULL,                    -- 'Role', 'ClusterRole', 'RoleBinding', 'ClusterRoleBinding', 'ServiceAccount', 'Pod'; 'unreadable' = documents that may have held any
  namespace        TEXT,                             -- where they are known; NULL = in every namespace
  objects          INTEGER NOT NULL                  -- count of objects there
) STRICT;
CREATE TABLE skipped_kind (                          -- objects of the input that no answer needs
  kind             TEXT PRIMARY KEY,                 -- 'ConfigMap', 'Ingress.networking.k8s.io'; '' = documents that are no objects
  objects          INTEGER NOT NULL                  -- count
) STRICT, WITHOUT ROWID;
CREATE TABLE diagnostic (                            -- what the last load had to say about its input
  diagnostic_id    INTEGER PRIMARY KEY,              -- 1, 2, … in order of appearance
  severity         TEXT NOT NULL CHECK (severity IN ('error','warning','note')),  -- how much of the input is lost
  id               TEXT NOT NULL,                    -- kebab-case, a heading in docs/diagnostics.md
  message          TEXT NOT NULL,                    -- one sentence
  file             TEXT,                             -- path; NULL no single place
  line             INTEGER,                          -- 1-based; NULL no single place
  column           INTEGER,                          -- 1-based, in characters; NULL no single place
  notes            TEXT NOT NULL DEFAULT '[]',       -- JSON array of further places and facts
  help             TEXT                              -- how to mend it; NULL nothing helps
) STRICT;

-- ───────────── dictionaries ─────────────
CREATE TABLE namespace (
  namespace_id     INTEGER PRIMARY KEY,              -- 0 = no namespace: cluster-scoped object, cluster-wide scope or request
  name             TEXT NOT NULL UNIQUE,             -- '' for id 0
  declared         INTEGER NOT NULL,                 -- flag: a Namespace object was loaded
  uid              TEXT,                             -- metadata.uid; NULL manifest or not declared
  created_at       INTEGER,                          -- time; NULL unknown
  labels           TEXT NOT NULL,                    -- JSON object
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER                           -- place
) STRICT;
CREATE TABLE identity (                              -- what a subject or caller is to the authorizer: a user name or a group name
  identity_id      INTEGER PRIMARY KEY,              -- 0 = nobody (no impersonator)
  kind             TEXT NOT NULL CHECK (kind IN ('User','Group')),  -- service accounts are Users
  name             TEXT NOT NULL                     -- 'system:serviceaccount:<namespace>:<name>' for a service account
) STRICT;
CREATE TABLE object_name (                           -- names in requests and in resourceNames
  object_name_id   INTEGER PRIMARY KEY,              -- 0 = '' = a request that carries no name
  name             TEXT NOT NULL UNIQUE              -- as written
) STRICT;
CREATE TABLE atom (                                  -- distinct verb × group × resource, or verb × URL; a pattern in a grant, literal in usage
  atom_id          INTEGER PRIMARY KEY,              -- 1, 2, …
  verb             TEXT NOT NULL,                    -- as written; '*' = every verb (in a grant)
  api_group        TEXT,                             -- '' core, '*' every group (in a grant); NULL for a URL
  resource         TEXT,                             -- as a Role spells it: 'pods', 'pods/exec', '*', '*/scale'; NULL for a URL
  url              TEXT,                             -- nonResourceURL as written, or the decoded path of a request; NULL for a resource
  url_prefix       TEXT GENERATED ALWAYS AS (CASE WHEN substr(url, -1) = '*' THEN rtrim(url, '*') END) STORED,  -- what a trailing-* pattern matches the start of; NULL no such pattern
  CHECK ((resource IS NULL) = (url IS NOT NULL) AND (resource IS NULL) = (api_group IS NULL))
) STRICT;

-- ───────────── state: who runs ─────────────
CREATE TABLE node (
  node_id          INTEGER PRIMARY KEY,              -- 1, 2, …
  name             TEXT NOT NULL UNIQUE,             -- metadata.name
  declared         INTEGER NOT NULL,                 -- flag: a Node object was loaded (0 = only named by a pod)
  identity_id      INTEGER NOT NULL REFERENCES identity,  -- User system:node:<name>
  uid              TEXT,                             -- metadata.uid; NULL manifest or not declared
  created_at       INTEGER,                          -- time; NULL unknown
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER                           -- place
) STRICT;
CREATE TABLE service_account (
  identity_id      INTEGER PRIMARY KEY REFERENCES identity,  -- the User it is to the authorizer
  namespace_id     INTEGER NOT NULL REFERENCES namespace,    -- its namespace
  namespace        TEXT NOT NULL,                    -- its namespace by name
  name             TEXT NOT NULL,                    -- metadata.name
  declared         INTEGER NOT NULL,                 -- flag: the object was loaded (0 = only named by a binding, pod or workload)
  automount        INTEGER,                          -- flag automountServiceAccountToken; NULL unset
  uid              TEXT,                             -- metadata.uid; NULL manifest or not declared
  created_at       INTEGER,                          -- time; NULL unknown
  labels           TEXT NOT NULL,                    -- JSON object
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER                           -- place
) STRICT;
CREATE TABLE group_membership (                      -- the groups that authentication adds by itself
  identity_id      INTEGER NOT NULL REFERENCES identity,  -- the member, kind User
  group_id         INTEGER NOT NULL REFERENCES identity,  -- the group, kind Group
  PRIMARY KEY (identity_id, group_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE group_size (                            -- what stands behind a group without expanding it
  group_id         INTEGER PRIMARY KEY REFERENCES identity,  -- the group
  service_accounts INTEGER NOT NULL,                 -- count of member service accounts
  pods             INTEGER NOT NULL                  -- count of pods that hold an API token of one of them
) STRICT;
CREATE TABLE workload (                              -- controllers and other owners of pods
  workload_id      INTEGER PRIMARY KEY,              -- 1, 2, …
  kind             TEXT NOT NULL,                    -- 'Deployment', 'CronJob', or the kind that an ownerReference names
  namespace_id     INTEGER NOT NULL REFERENCES namespace,  -- its namespace
  namespace        TEXT NOT NULL,                    -- its namespace by name
  name             TEXT NOT NULL,                    -- metadata.name
  declared         INTEGER NOT NULL,                 -- flag: the object was loaded (0 = only named by an ownerReference)
  owner_id         INTEGER REFERENCES workload,      -- its controller; NULL none
  root_id          INTEGER NOT NULL,                 -- top of the owner chain, itself when it has no owner
  identity_id      INTEGER REFERENCES identity,      -- service account of its pod template; NULL unknown
  automount        INTEGER,                          -- flag as in the template; NULL unset
  replicas         INTEGER,                          -- wanted pods; NULL not a counted kind
  uid              TEXT,                             -- metadata.uid; NULL manifest or not declared
  created_at       INTEGER,                          -- time; NULL unknown
  labels           TEXT NOT NULL,                    -- JSON object
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER                           -- place
) STRICT;
CREATE TABLE pod (
  pod_id           INTEGER PRIMARY KEY,              -- 1, 2, …
  namespace_id     INTEGER NOT NULL REFERENCES namespace,  -- its namespace
  namespace        TEXT NOT NULL,                    -- its namespace by name
  name             TEXT NOT NULL,                    -- metadata.name
  uid              TEXT,                             -- metadata.uid, links audit events; NULL manifest
  created_at       INTEGER,                          -- time; NULL unknown
  node_id          INTEGER REFERENCES node,          -- NULL not scheduled
  workload_id      INTEGER REFERENCES workload,      -- direct controller; NULL bare pod
  identity_id      INTEGER REFERENCES identity,      -- service account it runs as; NULL for a mirror pod
  automount        INTEGER,                          -- flag as written; NULL unset
  phase            TEXT,                             -- 'Running', …; NULL manifest
  host_network     INTEGER NOT NULL,                 -- flag
  privileged       INTEGER NOT NULL,                 -- flag: some container is privileged
  labels           TEXT NOT NULL,                    -- JSON object
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER,                          -- place
  addresses        TEXT NOT NULL DEFAULT '[]'        -- JSON array of status.podIPs; '[]' = unknown, or others have them too: host network, finished
) STRICT;
CREATE TABLE pod_token (                             -- credentials for the API that a pod's containers can read
  pod_id           INTEGER NOT NULL REFERENCES pod,  -- the pod
  ordinal          INTEGER NOT NULL,                 -- 0, 1, … within the pod
  identity_id      INTEGER NOT NULL REFERENCES identity,  -- whom the token speaks for; a token Secret may name another account
  exposure         TEXT NOT NULL CHECK (exposure IN ('automount','projected') OR exposure IN ('secret-volume','secret-env') OR exposure = 'csi'),  -- how it gets there
  audience         TEXT,                             -- NULL = the API server
  PRIMARY KEY (pod_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE workload_token (                        -- the same for the pods that a workload's template would make
  workload_id      INTEGER NOT NULL REFERENCES workload,  -- the workload
  ordinal          INTEGER NOT NULL,                 -- 0, 1, … within the template
  identity_id      INTEGER NOT NULL REFERENCES identity,  -- whom the token speaks for; a token Secret may name another account
  exposure         TEXT NOT NULL CHECK (exposure IN ('automount','projected') OR exposure IN ('secret-volume','secret-env') OR exposure = 'csi'),  -- how it gets there
  audience         TEXT,                             -- NULL = the API server
  PRIMARY KEY (workload_id, ordinal)
) STRICT, WITHOUT ROWID;

-- ───────────── state: RBAC ─────────────
CREATE TABLE role (
  role_id          INTEGER PRIMARY KEY,              -- 1, 2, … in reading order
  kind             TEXT NOT NULL CHECK (kind IN ('Role','ClusterRole')),  -- which of the two
  namespace_id     INTEGER NOT NULL REFERENCES namespace,  -- 0 = ClusterRole
  namespace        TEXT NOT NULL,                    -- '' = ClusterRole
  name             TEXT NOT NULL,                    -- metadata.name
  uid              TEXT,                             -- metadata.uid; NULL manifest or assumed
  created_at       INTEGER,                          -- time; NULL unknown
  labels           TEXT NOT NULL,                    -- JSON object
  aggregated       INTEGER NOT NULL,                 -- flag: has an aggregationRule
  rules_from       TEXT NOT NULL CHECK (rules_from IN ('stored','computed')),  -- which rules rule_atom holds
  bootstrap        INTEGER NOT NULL,                 -- flag: label kubernetes.io/bootstrapping=rbac-defaults
  assumed          INTEGER NOT NULL,                 -- flag: from the built-in defaults, not from the input
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER,                          -- place
  managed_by       TEXT                              -- who else writes it: JSON object, by = bootstrap (restored), helm (name, namespace), olm (name), owner (kind, name), argo (name), flux (name, namespace); NULL nobody known
) STRICT;
CREATE TABLE rule (                                  -- rules as written, duplicates and empty ones included
  role_id          INTEGER NOT NULL REFERENCES role, -- the role
  ordinal          INTEGER NOT NULL,                 -- 0-based; computed rules of an aggregate continue after the stored ones
  origin           TEXT NOT NULL CHECK (origin IN ('stored','computed')),  -- written in the role, or aggregated into it
  verbs            TEXT,                             -- JSON array as written; NULL absent, '[]' written empty
  api_groups       TEXT,                             -- same
  resources        TEXT,                             -- same
  resource_names   TEXT,                             -- same; absent or [] = any request, named or not
  urls             TEXT,                             -- nonResourceURLs, same
  aggregated_from  TEXT,                             -- name of the ClusterRole it was taken from; NULL stored
  source_id        INTEGER,                          -- place; NULL built-in
  line             INTEGER,                          -- place
  column           INTEGER,                          -- place
  PRIMARY KEY (role_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE rule_atom (                             -- THE grant table: each rule that counts multiplied out; names stay in rule_name
  role_id          INTEGER NOT NULL REFERENCES role, -- the role
  atom_id          INTEGER NOT NULL REFERENCES atom, -- what is allowed; wildcards are kept
  ordinal          INTEGER NOT NULL,                 -- the rule
  namespace_id     INTEGER NOT NULL,                 -- copy of role.namespace_id, so that an index skips Roles of other namespaces
  named            INTEGER NOT NULL,                 -- flag: only the names in rule_name; always 0 for a URL
  PRIMARY KEY (role_id, atom_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE rule_name (                             -- resourceNames of a rule, each once; no row = unrestricted
  role_id          INTEGER NOT NULL REFERENCES role, -- the role
  ordinal          INTEGER NOT NULL,                 -- the rule
  object_name_id   INTEGER NOT NULL REFERENCES object_name,  -- 0 ('') matches exactly the nameless requests; '*' is literal
  PRIMARY KEY (role_id, ordinal, object_name_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE role_size (                             -- how much a role holds, so that a survey need not read its rules
  role_id          INTEGER PRIMARY KEY REFERENCES role,  -- the role; no row = no rule of it that counts grants anything
  atoms            INTEGER NOT NULL,                 -- count of distinct atoms in rule_atom
  urls             INTEGER NOT NULL,                 -- of these: URLs
  wildcards        INTEGER NOT NULL,                 -- of these: with `*` as verb, group, resource or URL
  wildcard_urls    INTEGER NOT NULL                  -- of these: both
) STRICT;
CREATE TABLE aggregation_selector (
  role_id          INTEGER NOT NULL REFERENCES role, -- the aggregated ClusterRole
  ordinal          INTEGER NOT NULL,                 -- 0-based, list order
  selector         TEXT NOT NULL,                    -- JSON label selector; '{}' selects every ClusterRole, 'null' none
  PRIMARY KEY (role_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE binding (
  binding_id       INTEGER PRIMARY KEY,              -- 1, 2, … in reading order
  kind             TEXT NOT NULL CHECK (kind IN ('RoleBinding','ClusterRoleBinding')),  -- which of the two
  namespace_id     INTEGER NOT NULL REFERENCES namespace,  -- scope of every grant of it; 0 = ClusterRoleBinding
  namespace        TEXT NOT NULL,                    -- '' = ClusterRoleBinding
  name             TEXT NOT NULL,                    -- metadata.name
  role_ref_kind    TEXT NOT NULL,                    -- as written
  role_ref_name    TEXT NOT NULL,                    -- as written
  role_id          INTEGER REFERENCES role,          -- resolved; NULL = dangling, grants nothing
  uid              TEXT,                             -- metadata.uid; NULL manifest or assumed
  created_at       INTEGER,                          -- time; NULL unknown
  labels           TEXT NOT NULL,                    -- JSON object
  bootstrap        INTEGER NOT NULL,                 -- flag: label kubernetes.io/bootstrapping=rbac-defaults
  assumed          INTEGER NOT NULL,                 -- flag: from the built-in defaults, not from the input
  source_id        INTEGER,                          -- place
  line             INTEGER,                          -- place
  column           INTEGER,                          -- place
  managed_by       TEXT                              -- who else writes it, as in table role; NULL nobody known
) STRICT;
CREATE TABLE binding_subject (
  binding_id       INTEGER NOT NULL REFERENCES binding,  -- the binding
  ordinal          INTEGER NOT NULL,                 -- 0-based, list order
  kind             TEXT NOT NULL,                    -- as written
  namespace        TEXT,                             -- as written; NULL absent
  name             TEXT NOT NULL,                    -- as written
  identity_id      INTEGER REFERENCES identity,      -- whom it means; NULL = can never match
  source_id        INTEGER,                          -- place; NULL built-in
  line             INTEGER,                          -- place
  column           INTEGER,                          -- place
  PRIMARY KEY (binding_id, ordinal)
) STRICT, WITHOUT ROWID;
CREATE TABLE policy_check (                          -- what admission policies and webhooks ask the authorizer while they decide on a request
  policy_check_id  INTEGER PRIMARY KEY,              -- 1, 2, … in reading order
  policy_kind      TEXT NOT NULL,                    -- 'ValidatingAdmissionPolicy', 'MutatingAdmissionPolicy', 'ValidatingWebhookConfiguration', 'MutatingWebhookConfiguration'
  policy_name      TEXT NOT NULL,                    -- metadata.name
  about            TEXT NOT NULL CHECK (about IN ('requester','account')),  -- whom it is about: who makes the request, or a service account
  account_namespace TEXT,                            -- of that account; NULL computed, or about the requester
  account_name     TEXT,                             -- of that account; NULL computed, or about the requester
  target           TEXT NOT NULL CHECK (target IN ('resource','url','request','parameter','computed')),  -- what it is about: request = the request's own resource, namespace and name; parameter = every object of the policy's paramKind
  verb             TEXT,                             -- NULL computed
  api_group        TEXT,                             -- '' core; NULL computed, or not of this target
  resource         TEXT,                             -- without subresource; NULL computed, or not of this target
  subresource      TEXT,                             -- '' none; NULL computed, or not of this target
  namespace        TEXT,                             -- '' cluster-wide; NULL computed, or not of this target
  name             TEXT,                             -- '' none; NULL computed, or not of this target
  url              TEXT,                             -- path; NULL computed, or not of this target
  parameter_kind   TEXT,                             -- kind of a parameter; NULL not of this target
  expression       TEXT NOT NULL,                    -- the call as written, cut when long
  rules            TEXT NOT NULL,                    -- JSON array of the rules whose requests it is made for
  excluded_rules   TEXT NOT NULL,                    -- JSON array of the rules whose requests it is not made for
  source_id        INTEGER,                          -- place of the expression
  line             INTEGER,                          -- place
  column           INTEGER                           -- place
) STRICT;
CREATE TABLE api_resource (                          -- what can be asked for
  api_group        TEXT NOT NULL,                    -- '' core
  resource         TEXT NOT NULL,                    -- plural, with subresource: 'pods', 'pods/exec'
  version          TEXT NOT NULL,                    -- served version
  kind             TEXT NOT NULL,                    -- kind of its objects
  singular         TEXT NOT NULL,                    -- '' none
  short_names      TEXT NOT NULL,                    -- JSON array
  namespaced       INTEGER NOT NULL,                 -- flag
  verbs            TEXT NOT NULL,                    -- JSON array of supported verbs
  origin           TEXT NOT NULL CHECK (origin IN ('built-in','crd','discovery')),  -- where the knowledge comes from
  PRIMARY KEY (api_group, resource, version)
) STRICT, WITHOUT ROWID;

-- ───────────── usage: survives loads; refers to dictionaries only, never to state ─────────────
CREATE TABLE caller (                                -- the process behind a request, as its token says
  caller_id        INTEGER PRIMARY KEY,              -- 0 = a credential without pod, and no address
  namespace        TEXT NOT NULL,                    -- of the pod; '' = the credential names none
  pod              TEXT NOT NULL,                    -- pod name; '' as above
  pod_uid          TEXT NOT NULL,                    -- '' unknown
  workload         TEXT,                             -- 'Deployment/cart', resolved through the inventory; NULL unknown
  address          TEXT NOT NULL,                    -- where a service account asked from whose credential names no pod; '' = all others
  UNIQUE (namespace, pod, pod_uid, address)
) STRICT;
CREATE TABLE agent (
  agent_id         INTEGER PRIMARY KEY,              -- 0 = none
  user_agent       TEXT NOT NULL UNIQUE              -- as sent
) STRICT;
CREATE TABLE reason (                                -- authorization.k8s.io/reason: one grant that the server named
  reason_id        INTEGER PRIMARY KEY,              -- 0 = empty: allowed by something else than RBAC, or denied
  reason           TEXT NOT NULL UNIQUE,             -- as written
  binding_kind     TEXT,                             -- 'RoleBinding' or 'ClusterRoleBinding'; NULL no RBAC grant
  binding_namespace TEXT,                            -- '' for a ClusterRoleBinding; NULL no RBAC grant
  binding_name     TEXT                              -- NULL no RBAC grant
) STRICT;
CREATE TABLE usage (                                 -- one fact: who asked what, how, and the answer
  usage_id         INTEGER PRIMARY KEY,              -- 1, 2, …
  identity_id      INTEGER NOT NULL REFERENCES identity,    -- whose rights were used: the impersonated user if any
  impersonator_id  INTEGER NOT NULL REFERENCES identity,    -- who really asked; 0 = no impersonation
  caller_id        INTEGER NOT NULL REFERENCES caller,      -- pod of the one who really asked
  agent_id         INTEGER NOT NULL REFERENCES agent,       -- user agent
  atom_id          INTEGER NOT NULL REFERENCES atom,        -- verb, group and resource[/subresource], or verb and path; all literal
  namespace_id     INTEGER NOT NULL REFERENCES namespace,   -- 0 = cluster-wide or URL
  object_name_id   INTEGER NOT NULL REFERENCES object_name, -- 0 = the authorizer saw no name
  decision         TEXT NOT NULL CHECK (decision IN ('allow','forbid') OR decision = 'unknown'),  -- unknown: no decision annotation, and neither status nor message tells
  code_class       INTEGER NOT NULL,                        -- 2 = 2xx, 4 = 4xx, …; 0 = no status
  reason_id        INTEGER NOT NULL REFERENCES reason,      -- grant named by the server
  count            INTEGER NOT NULL,                        -- requests that completed (ResponseComplete or Panic)
  started          INTEGER NOT NULL,                        -- ResponseStarted events; with count 0 none completed with this answer: it was open, or ended with another code class or reason
  first_seen       INTEGER NOT NULL,                        -- time, requestReceivedTimestamp
  last_seen        INTEGER NOT NULL,                        -- time, requestReceivedTimestamp
  day              INTEGER GENERATED ALWAYS AS (CASE WHEN first_seen >= 0 AND first_seen / 86400000000 = last_seen / 86400000000 THEN first_seen / 86400000000 END) VIRTUAL,  -- days since 1970-01-01 UTC; NULL seen on several, see usage_day
  UNIQUE (identity_id, decision, atom_id, namespace_id, object_name_id, impersonator_id, caller_id, agent_id, code_class, reason_id)
) STRICT;
CREATE TABLE usage_day_count (                       -- requests per day of the facts that were seen on several; usage_day has those of all
  usage_id         INTEGER NOT NULL REFERENCES usage,-- the fact
  day              INTEGER NOT NULL,                 -- days since 1970-01-01 UTC
  count            INTEGER NOT NULL,                 -- requests that completed
  PRIMARY KEY (usage_id, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE implied_need (                          -- rights that a request proves beyond its own attributes
  identity_id      INTEGER NOT NULL REFERENCES identity,    -- who needs it; for impersonation the one who really asked
  atom_id          INTEGER NOT NULL REFERENCES atom,        -- literal
  namespace_id     INTEGER NOT NULL REFERENCES namespace,   -- 0 = cluster-wide or URL
  object_name_id   INTEGER NOT NULL REFERENCES object_name, -- 0 = without name
  cause            TEXT NOT NULL,                           -- 'apply-created', 'websocket', 'impersonation', 'access-review', 'unsafe-delete'
  decision         TEXT NOT NULL CHECK (decision IN ('allow','forbid')),  -- forbid: attempted and refused
  count            INTEGER NOT NULL,                        -- requests that prove it
  first_seen       INTEGER NOT NULL,                        -- time
  last_seen        INTEGER NOT NULL,                        -- time
  PRIMARY KEY (identity_id, atom_id, namespace_id, object_name_id, cause, decision)
) STRICT, WITHOUT ROWID;
CREATE TABLE usage_flag (                            -- what a log hints at but does not prove
  identity_id      INTEGER NOT NULL REFERENCES identity,    -- whose request
  flag             TEXT NOT NULL,                           -- 'later-denial:…', 'self-check:…', 'hidden:…', 'fallback:…', 'written:…', 'not-rbac' (allowed without a reason, so by another authorizer)
  count            INTEGER NOT NULL,                        -- requests
  first_seen       INTEGER NOT NULL,                        -- time
  last_seen        INTEGER NOT NULL,                        -- time
  PRIMARY KEY (identity_id, flag)
) STRICT, WITHOUT ROWID;
CREATE TABLE checkpoint (                            -- every audit log that was folded; a repeated or grown log counts only what is new
  checkpoint_id    INTEGER PRIMARY KEY,              -- 1, 2, …
  path             TEXT NOT NULL,                    -- as given; '-' = standard input
  byte_count       INTEGER NOT NULL,                 -- decompressed bytes folded, from the start
  sha256           TEXT NOT NULL UNIQUE,             -- hex, of these bytes; behind 'ends:', of their count, first and last 64 KiB
  first_event      INTEGER,                          -- time of the earliest event; NULL no event
  last_event       INTEGER,                          -- time of the latest event; NULL no event
  events           INTEGER NOT NULL,                 -- events read
  requests         INTEGER NOT NULL,                 -- of these: completed and decided; usage, or need of an impersonation that was refused
  received_only    INTEGER NOT NULL,                 -- of these: stage RequestReceived or ResponseStarted
  ignored          INTEGER NOT NULL,                 -- of these: refused before authorization (401, 429, 503 without a decision)
  undecided        INTEGER NOT NULL,                 -- of these: completed, decision 'unknown'
  rejected         INTEGER NOT NULL,                 -- lines that are no event
  envelopes        TEXT NOT NULL DEFAULT '{}',       -- JSON object: what was wrapped around events → count of these
  line_count       INTEGER NOT NULL DEFAULT 0,       -- line feeds in these bytes
  repeated         INTEGER NOT NULL DEFAULT 0,       -- of the events: read before, in this log or another
  rejects          TEXT NOT NULL DEFAULT '{}',       -- JSON object: why something is no event → count; sums to rejected
  levels           TEXT NOT NULL DEFAULT '{}',       -- JSON object: audit level → count of events, with those read before; '' = not told
  stages           TEXT NOT NULL DEFAULT '{}',       -- JSON object: stage → count of events, with those read before
  decisions        TEXT NOT NULL DEFAULT '{}',       -- JSON object: decision annotation → count of answered events; '' = none
  spans            TEXT NOT NULL DEFAULT '[]',       -- JSON array of [from, to], minutes since 1970-01-01 UTC: no event is more than 10 minutes from the next
  head             TEXT NOT NULL DEFAULT '',         -- hex SHA-256 of the first 4 KiB, the same however long the log grows; '' = it is shorter, or not known
  skipped          INTEGER NOT NULL DEFAULT 0,       -- records of other logs, and messages that hold none
  ended            INTEGER NOT NULL DEFAULT 1        -- flag: the log ended here (0 = a part of it that was kept while more was read, or it is followed)
) STRICT;
CREATE TABLE earlier_checkpoint (                    -- logs of checkpoints as an earlier load found them, so that a copy made then counts once
  sha256           TEXT PRIMARY KEY,                 -- as in checkpoint
  checkpoint_id    INTEGER NOT NULL,                 -- of what it became, unless that is gone; the longest 64 of each are kept
  byte_count       INTEGER NOT NULL,                 -- as in checkpoint
  line_count       INTEGER NOT NULL,                 -- as in checkpoint
  head             TEXT NOT NULL                     -- as in checkpoint
) STRICT, WITHOUT ROWID;
CREATE TABLE names_dropped (                         -- verbs on resources that a user used with so many names that none is kept
  identity_id      INTEGER NOT NULL REFERENCES identity,    -- whose usage and implied needs have no names
  atom_id          INTEGER NOT NULL REFERENCES atom,        -- for this verb and resource
  PRIMARY KEY (identity_id, atom_id)
) STRICT, WITHOUT ROWID;
CREATE TABLE event_window (                          -- the latest events by hash, so that what two logs hold counts once
  generation       INTEGER NOT NULL,                 -- the highest has the younger hashes, the one before it the older
  part             INTEGER NOT NULL,                 -- 0, 1, … of a generation: a load writes only the parts that change
  seed             INTEGER NOT NULL,                 -- what the hashes start from
  hashes           BLOB NOT NULL,                    -- at most 2,048, 8 bytes each, little-endian, in the order of the events
  PRIMARY KEY (generation, part)
) STRICT, WITHOUT ROWID;
CREATE TABLE declared_need (                         -- what an author says is needed
  identity_id      INTEGER NOT NULL REFERENCES identity,    -- who needs it
  atom_id          INTEGER NOT NULL REFERENCES atom,        -- '*' only as an explicit wildcard
  namespace_id     INTEGER NOT NULL REFERENCES namespace,   -- 0 = cluster-wide or URL
  object_name_id   INTEGER NOT NULL REFERENCES object_name, -- 0 = any name
  origin           TEXT NOT NULL,                           -- path of the declaration
  PRIMARY KEY (identity_id, atom_id, namespace_id, object_name_id, origin)
) STRICT, WITHOUT ROWID;
