-- expect: drifted table efficiency_kpis: constraint efficiency_kpis_aco_rank_check
ALTER TABLE efficiency_kpis
    DROP CONSTRAINT efficiency_kpis_aco_rank_check,
    ADD CONSTRAINT efficiency_kpis_aco_rank_check CHECK (aco_rank >= 1) NO INHERIT;
