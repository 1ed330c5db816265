-- says: categories add up
UPDATE performance_metrics SET current_value = 1037.81 WHERE metric_type = 'cost_pmpm';

-- says: its benchmark is
UPDATE performance_metrics SET benchmark_value = NULL WHERE metric_type = 'cost_pmpm';

-- says: PMPM and member months give
UPDATE performance_metrics SET current_value = current_value + 1 WHERE metric_type = 'total_cost';

-- says: its benchmark is 1.0
UPDATE performance_metrics SET benchmark_value = 1 WHERE metric_type = 'total_cost';

-- says: are far from
UPDATE performance_metrics SET current_value = 5600 WHERE metric_type = 'patient_count';
