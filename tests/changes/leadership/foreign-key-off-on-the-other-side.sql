-- expect: drifted table performance_periods: trigger performance_periods_set_updated_at
-- expect: drifted table performance_metrics: constraint performance_metrics_period_id_fkey
-- expect: drifted table cost_categories: constraint cost_categories_period_id_fkey
-- expect: drifted table efficiency_kpis: constraint efficiency_kpis_period_id_fkey
-- expect: drifted table cost_opportunities: constraint cost_opportunities_period_id_fkey
ALTER TABLE performance_periods DISABLE TRIGGER ALL;
