-- expect: ok
INSERT INTO performance_periods (period_key, period_label, start_date, end_date, is_active)
SELECT 'month_' || n, 'Month ' || n, '2024-01-01', '2024-01-31', n = 1
FROM generate_series(1, 100) AS n;
INSERT INTO recommendations (title) SELECT 'Do ' || n FROM generate_series(1, 1000) AS n;
DELETE FROM recommendations WHERE id % 2 = 0;
