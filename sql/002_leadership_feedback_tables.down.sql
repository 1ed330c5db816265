-- 002 down: drops the leadership feedback tables, their views and their functions
--
-- What:  The exact reverse of the up file and of the views on top of it. Indexes, constraints,
--        triggers, comments and id sequences are dropped with their tables.
--
-- Why:   To restore the schema as it was before 002.
--
-- Lost:  Every row of the eleven tables. What was loaded from files can be loaded again; what
--        people entered cannot: the status of each recommendation, when it changed and who changed
--        it. Take a backup first.
--
-- There is no CASCADE here. If another view or foreign key depends on one of these objects, the
-- drop fails and names it, instead of dropping it too. IF EXISTS allows an incomplete schema.

DROP VIEW IF EXISTS v_recommendations_with_categories;
DROP VIEW IF EXISTS v_current_cost_categories;

DROP TABLE IF EXISTS cost_category_discharging_hospitals;
DROP TABLE IF EXISTS cost_category_drgs;
DROP TABLE IF EXISTS cost_category_hospitals;
DROP TABLE IF EXISTS cost_opportunities;
DROP TABLE IF EXISTS efficiency_kpis;
DROP TABLE IF EXISTS program_resources;
DROP TABLE IF EXISTS recommendation_cost_categories;
DROP TABLE IF EXISTS recommendations;
DROP TABLE IF EXISTS cost_categories;
DROP TABLE IF EXISTS performance_metrics;
DROP TABLE IF EXISTS performance_periods;

DROP FUNCTION IF EXISTS leadership_feedback_stamp_status_change();
DROP FUNCTION IF EXISTS leadership_feedback_set_updated_at();
