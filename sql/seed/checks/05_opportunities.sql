-- An opportunity has its category's amount, percentage, rank and period, and the type of its sign

SELECT period.period_key, category.slug, wrong.problem
FROM cost_opportunities AS opportunity
JOIN cost_categories AS category ON category.id = opportunity.cost_category_id
JOIN performance_periods AS period ON period.id = category.period_id
CROSS JOIN LATERAL (VALUES
    (opportunity.period_id <> category.period_id, 'the opportunity is in another period'),
    (opportunity.amount_variance IS DISTINCT FROM category.spending_variance_amount,
     format('the opportunity''s amount is %s, and the category''s %s', opportunity.amount_variance,
            category.spending_variance_amount)),
    (opportunity.percent_variance IS DISTINCT FROM category.spending_variance_percent,
     format('the opportunity''s percentage is %s, and the category''s %s',
            opportunity.percent_variance, category.spending_variance_percent)),
    (opportunity.aco_rank IS DISTINCT FROM category.aco_rank,
     format('the opportunity''s rank is %s, and the category''s %s', opportunity.aco_rank,
            category.aco_rank)),
    (opportunity.opportunity_type
         <> (ARRAY['efficient', 'neutral', 'overspending'])
            [2 + sign(category.spending_pmpm_actual - category.spending_pmpm_benchmark)::integer],
     format('the type is %s, and the PMPM differs from the benchmark by %s',
            opportunity.opportunity_type,
            category.spending_pmpm_actual - category.spending_pmpm_benchmark))
) AS wrong (found, problem)
WHERE wrong.found
ORDER BY period.start_date, period.period_key, category.display_order, category.slug;
