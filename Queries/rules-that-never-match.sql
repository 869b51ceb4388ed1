-- title:   Rules that no request can match
-- answers: each rule of which some part can never match: no verbs, no groups or resources, URLs in a Role or through a RoleBinding only, deletecollection with names
-- unset:   nothing; the query has no parameters
-- column:  role_kind           text     Role or ClusterRole
-- column:  namespace           text     '' for a ClusterRole
-- column:  role                text     name of the role
-- column:  rule                integer  0-based position of the rule in the role
-- column:  reason              text     what can never match, and why
-- column:  file                text?    input that holds the rule; NULL = built in
-- column:  line                integer? 1-based
-- column:  column              integer? 1-based, in characters
-- source:  docs/rbac-semantics.md#matching
WITH lists AS MATERIALIZED (
  SELECT w.*, json_array_length(coalesce(w.verbs, '[]')) AS verb_count, json_array_length(coalesce(w.api_groups, '[]')) AS group_count,
         json_array_length(coalesce(w.resources, '[]')) AS resource_count, json_array_length(coalesce(w.resource_names, '[]')) AS name_count,
         json_array_length(coalesce(w.urls, '[]')) AS url_count
  FROM rule AS w
), dead AS (
  SELECT role_id, ordinal, 'the whole rule: it has no verbs' AS reason FROM lists WHERE verb_count = 0
  UNION ALL
  SELECT role_id, ordinal, 'the whole rule: it has resources but no apiGroups' FROM lists WHERE verb_count > 0 AND resource_count > 0 AND group_count = 0 AND url_count = 0
  UNION ALL
  SELECT role_id, ordinal, 'the whole rule: it has apiGroups but no resources' FROM lists WHERE verb_count > 0 AND resource_count = 0 AND group_count > 0 AND url_count = 0
  UNION ALL
  SELECT role_id, ordinal, 'the whole rule: it has neither resources nor nonResourceURLs' FROM lists WHERE verb_count > 0 AND resource_count = 0 AND group_count = 0 AND url_count = 0
  UNION ALL
  SELECT l.role_id, l.ordinal, 'nonResourceURLs: a Role never gives a URL' FROM lists AS l JOIN role AS r USING (role_id) WHERE l.url_count > 0 AND r.kind = 'Role'
  UNION ALL
  SELECT l.role_id, l.ordinal, 'nonResourceURLs: only RoleBindings refer to the ClusterRole, and they never give a URL' FROM lists AS l JOIN role AS r USING (role_id)
  WHERE l.url_count > 0 AND r.kind = 'ClusterRole' AND EXISTS (SELECT 1 FROM binding AS b WHERE b.role_id = r.role_id)
    AND NOT EXISTS (SELECT 1 FROM binding AS b WHERE b.role_id = r.role_id AND b.namespace_id = 0)
  UNION ALL
  SELECT l.role_id, l.ordinal, 'deletecollection: it carries no name, and the rule is limited to names' FROM lists AS l
  WHERE l.name_count > 0 AND EXISTS (SELECT 1 FROM json_each(l.verbs) WHERE value = 'deletecollection')
    AND NOT EXISTS (SELECT 1 FROM json_each(l.resource_names) WHERE value = '')
)
SELECT r.kind AS role_kind, r.namespace, r.name AS role, dead.ordinal AS rule, dead.reason, f.path AS file, w.line, w.column
FROM dead JOIN role AS r ON r.role_id = dead.role_id JOIN rule AS w ON w.role_id = dead.role_id AND w.ordinal = dead.ordinal AND w.origin = r.rules_from
LEFT JOIN source AS f ON f.source_id = w.source_id
ORDER BY 1, 2, 3, 4, 5
