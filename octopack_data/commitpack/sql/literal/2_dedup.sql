-- Stage 2 as the reference wrote it, its aliases put right (there the licence was named "repos" and the list nothing).
--
-- The licence is part of the key, so a commit under two licences becomes two rows, and stage 5 drops it; a repository is
-- repeated once for each of its listed languages.
SELECT
  commit,
  subject,
  message,
  STRING_AGG(unnested_repo_name, ',' ORDER BY unnested_repo_name) AS repos,
  license
FROM commits_table_base
GROUP BY commit, subject, message, license
