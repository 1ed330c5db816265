-- expect: drifted table efficiency_kpis: column variance_percent
ALTER TABLE efficiency_kpis
    DROP COLUMN variance_percent,
    ADD COLUMN variance_percent numeric(9,2) GENERATED ALWAYS AS (
        round(100 * (actual_value - aco_benchmark) / nullif(aco_benchmark, 0), 2)
    ) STORED;
