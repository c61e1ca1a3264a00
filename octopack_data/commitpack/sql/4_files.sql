-- Stage 4: one row for each changed file that kept its path (renames and entries without a path are left out).
--
-- Added files have the same path on both sides in this table, so they stay. `difference_entries` counts all entries of
-- the commit; only stage 5's strict count needs it.
SELECT
  commit,
  subject,
  message,
  repos,
  license,
  entry.old_path AS old_file,
  entry.new_path AS new_file,
  ARRAY_LENGTH(difference) AS difference_entries
FROM commits_table_dedup_difference, UNNEST(difference) AS entry
WHERE entry.old_path = entry.new_path
