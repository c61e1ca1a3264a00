-- The first rule of the intended reading that drops a commit; NULL where the commit stays. One row for each commit.
SELECT
  commits.commit,
  CASE
    WHEN NOT EXISTS (
      SELECT 1 FROM UNNEST(commits.repo_name) AS name JOIN repositories ON repositories.repo_name = name)
      THEN 'repository'
    WHEN NOT COALESCE(CHAR_LENGTH(message) > @longer_than AND CHAR_LENGTH(message) < @shorter_than, FALSE)
      THEN 'message_length'
    WHEN EXISTS (SELECT 1 FROM UNNEST(@messages) AS stock WHERE LOWER(TRIM(message, @whitespace)) = stock)
      THEN 'stock_message'
    WHEN EXISTS (
      SELECT 1 FROM UNNEST(@message_prefixes) AS prefix WHERE STARTS_WITH(LOWER(TRIM(message, @whitespace)), prefix))
      THEN 'message_prefix'
    WHEN NOT EXISTS (SELECT 1 FROM UNNEST(difference) AS entry WHERE entry.old_path = entry.new_path)
      THEN 'no_edited_file'
    WHEN (SELECT COUNT(*) FROM UNNEST(difference) AS entry WHERE entry.old_path = entry.new_path) > 1
      THEN 'several_files'
    WHEN @count_all_entries AND ARRAY_LENGTH(difference) > 1
      THEN 'several_entries'
  END AS reason
FROM commits
