-- Stage 1 as the reference wrote it: one row for each commit, repository and listed language of the repository.
--
-- Every test is LIKE, so "_" and "%" in a parameter are wildcards, and a stock message with a line end behind it passes.
SELECT
  commits.commit,
  commits.difference,
  commits.subject,
  commits.message,
  commits.unnested_repo_name,
  licenses.license
FROM (
  SELECT repo_name, entry.name AS language_name
  FROM languages, UNNEST(language) AS entry
) AS programmed
JOIN licenses ON licenses.repo_name = programmed.repo_name
JOIN (
  SELECT commit, difference, subject, message, unnested_repo_name
  FROM commits, UNNEST(repo_name) AS unnested_repo_name
) AS commits
ON commits.unnested_repo_name = programmed.repo_name
WHERE
  EXISTS (SELECT 1 FROM UNNEST(@license_patterns) AS pattern WHERE licenses.license LIKE pattern)
  AND EXISTS (SELECT 1 FROM UNNEST(@language_patterns) AS pattern WHERE programmed.language_name LIKE pattern)
  AND CHAR_LENGTH(commits.message) > @longer_than
  AND CHAR_LENGTH(commits.message) < @shorter_than
  AND NOT EXISTS (
    SELECT 1 FROM UNNEST(@message_patterns) AS pattern WHERE LOWER(commits.message) LIKE pattern)
