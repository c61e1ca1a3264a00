-- Stage 1: one row for each commit and each of its repositories that has an allowed licence and a listed language.
--
-- Mended, compared with literal/1_base.sql: a repository is counted once however many of its languages are listed and
-- however often a commit names it; licences and languages are compared for equality (prefixes apart), not as LIKE
-- patterns; stock messages and prefixes are looked for in the stripped message, so that the line end which git puts
-- behind every message does not hide them. The length tests are on the message as it is.
SELECT DISTINCT
  commits.commit,
  commits.subject,
  commits.message,
  unnested_repo_name,
  repositories.license
FROM commits
CROSS JOIN UNNEST(commits.repo_name) AS unnested_repo_name
JOIN (
  SELECT licenses.repo_name, MIN(licenses.license) AS license
  FROM licenses
  JOIN (
    SELECT DISTINCT languages.repo_name
    FROM languages
    CROSS JOIN UNNEST(languages.language) AS entry
    WHERE
      EXISTS (SELECT 1 FROM UNNEST(@languages) AS listed WHERE entry.name = listed)
      OR EXISTS (SELECT 1 FROM UNNEST(@language_prefixes) AS prefix WHERE STARTS_WITH(entry.name, prefix))
  ) AS programmed
  ON programmed.repo_name = licenses.repo_name
  WHERE EXISTS (SELECT 1 FROM UNNEST(@licenses) AS allowed WHERE licenses.license = allowed)
  GROUP BY licenses.repo_name
) AS repositories
ON repositories.repo_name = unnested_repo_name
WHERE
  CHAR_LENGTH(commits.message) > @longer_than
  AND CHAR_LENGTH(commits.message) < @shorter_than
  AND NOT EXISTS (
    SELECT 1 FROM UNNEST(@messages) AS stock WHERE LOWER(TRIM(commits.message, @whitespace)) = stock)
  AND NOT EXISTS (
    SELECT 1 FROM UNNEST(@message_prefixes) AS prefix
    WHERE STARTS_WITH(LOWER(TRIM(commits.message, @whitespace)), prefix))
