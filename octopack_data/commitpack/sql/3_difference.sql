-- Stage 3: the list of changed files again, by commit id; stage 2 cannot group by it.
SELECT
  dedup.commit,
  dedup.subject,
  dedup.message,
  dedup.repos,
  commits.difference,
  dedup.license
FROM commits_table_dedup AS dedup
JOIN commits ON commits.commit = dedup.commit
