-- Stage 5: commits with exactly one row left.
--
-- Renames were left out before this count, so a commit with one edited and three renamed files passes, although the
-- paper says that changes across several files are removed. With @count_all_entries every entry counts.
SELECT
  files.commit,
  files.subject,
  files.message,
  files.repos,
  files.license,
  files.old_file,
  files.new_file
FROM commits_table_dedup_files AS files
JOIN (
  SELECT commit
  FROM commits_table_dedup_files
  GROUP BY commit
  HAVING COUNT(*) = 1 AND (NOT @count_all_entries OR MAX(difference_entries) = 1)
) AS single
ON single.commit = files.commit
