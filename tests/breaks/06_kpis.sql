-- says: category avoidable-ed-visits has
UPDATE efficiency_kpis SET actual_value = 1 WHERE kpi_type = 'avoidable_ed_visits_per_k';

-- says: category acute-rehab has
UPDATE efficiency_kpis SET aco_benchmark = NULL WHERE kpi_type = 'irf_admits_per_k';
