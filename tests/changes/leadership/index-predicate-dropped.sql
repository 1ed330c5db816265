-- expect: drifted table performance_periods: index performance_periods_is_active_idx
DROP INDEX performance_periods_is_active_idx;
CREATE UNIQUE INDEX performance_periods_is_active_idx ON performance_periods (is_active);
