-- Stage 2: one row for each commit, with all its repositories, sorted, and the licence of the first one.
--
-- Mended, compared with literal/2_dedup.sql: the licence is no longer part of the key, so a commit whose repositories
-- have different licences stays one row (and is not lost in stage 5), and repositories are not repeated.
SELECT
  commit,
  MIN(subject) AS subject,
  MIN(message) AS message,
  STRING_AGG(DISTINCT unnested_repo_name, ',' ORDER BY unnested_repo_name) AS repos,
  ANY_VALUE(license HAVING MIN unnested_repo_name) AS license
FROM commits_table_base
GROUP BY commit
