-- expect: drifted table efficiency_kpis: constraint efficiency_kpis_aco_rank_check; constraint rank_check
ALTER TABLE efficiency_kpis RENAME CONSTRAINT efficiency_kpis_aco_rank_check TO rank_check;
