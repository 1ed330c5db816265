-- expect: drifted table efficiency_kpis: constraint efficiency_kpis_period_id_kpi_type_key; index efficiency_kpis_period_id_kpi_type_key
ALTER TABLE efficiency_kpis DROP CONSTRAINT efficiency_kpis_period_id_kpi_type_key;
CREATE UNIQUE INDEX efficiency_kpis_period_id_kpi_type_key ON efficiency_kpis (period_id, kpi_type);
