-- Which settings has this session changed, before lfmigrate changes any?
--
-- BEGIN sets three itself, which end with the transaction. One row: a jsonb object of name -> value.
SELECT coalesce(jsonb_object_agg(s.name, s.setting), '{}')
FROM pg_settings AS s
WHERE s.source = 'session'
  AND s.name NOT IN ('transaction_isolation', 'transaction_read_only', 'transaction_deferrable')
