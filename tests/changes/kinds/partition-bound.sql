-- expect: drifted table measurement_2024: partition bound
ALTER TABLE measurement DETACH PARTITION measurement_2024;
ALTER TABLE measurement ATTACH PARTITION measurement_2024
    FOR VALUES FROM ('2024-01-01') TO ('2026-01-01');
