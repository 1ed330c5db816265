-- v_recommendations_with_categories: recommendations with the categories that they touch
--
-- What:  One row per recommendation, every column of recommendations and one more: its categories
--        as a JSON array of {category_id, category_name, category_slug, impact_amount}.
--
-- Why:   A page of recommendations with their categories in one query, in an order that stays the
--        same, and with an empty list, not NULL, for a recommendation that touches none.
--
-- The list is a subquery of its own, so there is no GROUP BY to keep in step with the columns.
-- The columns are listed one by one. A "*" is expanded when the view is created and would then make
-- the next CREATE OR REPLACE fail, which can only add columns at the end.

CREATE OR REPLACE VIEW v_recommendations_with_categories AS
SELECT recommendation.id,
       recommendation.title,
       recommendation.description,
       recommendation.status,
       recommendation.priority,
       recommendation.is_measurable,
       recommendation.estimated_savings,
       recommendation.affected_lives,
       recommendation.cohort_size,
       recommendation.implementation_complexity,
       recommendation.patient_cohort,
       recommendation.has_program_details,
       recommendation.program_overview,
       recommendation.video_url,
       recommendation.can_convert_to_workflow,
       recommendation.workflow_type,
       recommendation.status_changed_at,
       recommendation.status_changed_by,
       recommendation.created_at,
       recommendation.updated_at,
       touched.affected_categories
FROM recommendations AS recommendation
CROSS JOIN LATERAL (
    -- An aggregate without GROUP BY always gives one row, so no recommendation is lost in the join.
    SELECT coalesce(
               json_agg(
                   json_build_object(
                       'category_id',   category.id,
                       'category_name', category.category_name,
                       'category_slug', category.slug,
                       'impact_amount', link.impact_amount
                   )
                   ORDER BY link.impact_amount DESC NULLS LAST, category.category_name, category.id
               ),
               '[]'::json
           ) AS affected_categories
    FROM recommendation_cost_categories AS link
    JOIN cost_categories AS category ON category.id = link.cost_category_id
    WHERE link.recommendation_id = recommendation.id
) AS touched;

COMMENT ON VIEW v_recommendations_with_categories IS
    'The recommendations, one row each, with the categories that they touch as a JSON array. Not '
    'sorted.';

COMMENT ON COLUMN v_recommendations_with_categories.id IS
    'Surrogate key.';
COMMENT ON COLUMN v_recommendations_with_categories.title IS
    'The action, in a few words.';
COMMENT ON COLUMN v_recommendations_with_categories.description IS
    'The action and the reason for it, in full.';
COMMENT ON COLUMN v_recommendations_with_categories.status IS
    'How far it has got: not_started, acknowledged, accepted, rejected, already_doing, '
    'in_progress or completed.';
COMMENT ON COLUMN v_recommendations_with_categories.priority IS
    'How urgent it is: high, medium or low. NULL = not judged yet.';
COMMENT ON COLUMN v_recommendations_with_categories.is_measurable IS
    'Whether its effect can be read from the dashboard''s own numbers.';
COMMENT ON COLUMN v_recommendations_with_categories.estimated_savings IS
    'Expected savings in dollars a year. NULL = unknown, which is not 0.';
COMMENT ON COLUMN v_recommendations_with_categories.affected_lives IS
    'How many patients it would reach. NULL = unknown.';
COMMENT ON COLUMN v_recommendations_with_categories.cohort_size IS
    'How many patients are in the cohort that it chooses from. NULL = unknown.';
COMMENT ON COLUMN v_recommendations_with_categories.implementation_complexity IS
    'How hard it is to carry out: high, medium or low. NULL = not judged yet.';
COMMENT ON COLUMN v_recommendations_with_categories.patient_cohort IS
    'Which patients it is for, in words.';
COMMENT ON COLUMN v_recommendations_with_categories.has_program_details IS
    'Whether there is a page of details: an overview, and rows in program_resources.';
COMMENT ON COLUMN v_recommendations_with_categories.program_overview IS
    'The opening text of the page of details.';
COMMENT ON COLUMN v_recommendations_with_categories.video_url IS
    'Address of a film about it, http or https.';
COMMENT ON COLUMN v_recommendations_with_categories.can_convert_to_workflow IS
    'Whether it can be turned into a workflow, that is, into tasks for a care team.';
COMMENT ON COLUMN v_recommendations_with_categories.workflow_type IS
    'Which workflow it would become. Only where can_convert_to_workflow is true.';
COMMENT ON COLUMN v_recommendations_with_categories.status_changed_at IS
    'When the status last changed. Stamped by the server unless the writer gives a time; NULL '
    'only while not_started.';
COMMENT ON COLUMN v_recommendations_with_categories.status_changed_by IS
    'Who changed the status last, as the application names its users; the role if it gives no name.';
COMMENT ON COLUMN v_recommendations_with_categories.created_at IS
    'When the row was inserted.';
COMMENT ON COLUMN v_recommendations_with_categories.updated_at IS
    'When the row was last written.';
COMMENT ON COLUMN v_recommendations_with_categories.affected_categories IS
    'JSON array of {category_id, category_name, category_slug, impact_amount}; impact_amount in '
    'dollars a year, largest first, unknown last. [] when there are none.';
