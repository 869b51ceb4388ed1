-- title:   What admission policies and webhooks ask the authorizer
-- answers: each check that a CEL expression makes with `authorizer`, or the API server for a paramKind, and the requests it is made for
-- unset:   nothing; the query has no parameters
-- column:  policy_kind         text     ValidatingAdmissionPolicy, MutatingAdmissionPolicy, ValidatingWebhookConfiguration or MutatingWebhookConfiguration
-- column:  policy_name         text     metadata.name
-- column:  about               text     whom it is about: requester or account
-- column:  account_namespace   text?    of that service account; NULL = computed, or about the requester
-- column:  account_name        text?    of that service account; NULL = computed, or about the requester
-- column:  target              text     resource, url, request (the request's own resource, namespace and name), parameter (every object of the paramKind) or computed
-- column:  verb                text?    NULL = computed
-- column:  api_group           text?    '' is the core group; NULL = computed, or not of this target
-- column:  resource            text?    without subresource; NULL = computed, or not of this target
-- column:  subresource         text?    '' is none; NULL = computed, or not of this target
-- column:  namespace           text?    '' is cluster-wide; NULL = computed, or not of this target
-- column:  name                text?    '' is none; NULL = computed, or not of this target
-- column:  path                text?    of a URL; NULL = computed, or not of this target
-- column:  parameter_kind      text?    kind of a parameter; NULL = not of this target
-- column:  expression          text     the call as written, cut when long
-- column:  rules               text     JSON array: requests that it is made for
-- column:  excluded_rules      text     JSON array: requests that it is not made for
-- column:  file                text?    where the expression is written
-- column:  line                integer? 1-based
-- column:  column              integer? 1-based, in characters
-- source:  docs/proposing.md#hidden-permissions
SELECT c.policy_kind, c.policy_name, c.about, c.account_namespace, c.account_name, c.target, c.verb, c.api_group, c.resource,
       c.subresource, c.namespace, c.name, c.url AS path, c.parameter_kind, c.expression, c.rules, c.excluded_rules, f.path AS file,
       c.line, c.column
FROM policy_check AS c LEFT JOIN source AS f ON f.source_id = c.source_id
ORDER BY c.policy_check_id
