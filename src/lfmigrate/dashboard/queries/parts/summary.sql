-- summary: the period's totals; percentages are of the sums
summary AS (
    SELECT sum(c.spending_pmpm_actual) AS "actualPmpm",
           sum(c.spending_pmpm_benchmark) AS "benchmarkPmpm",
           round(100 * (sum(c.spending_pmpm_actual) - sum(c.spending_pmpm_benchmark))
                 / nullif(sum(c.spending_pmpm_benchmark), 0), 2) AS "variancePercent",
           coalesce(sum(c.spending_variance_amount) FILTER (WHERE c.spending_variance_amount > 0),
                    0.00) AS "overspendAmount",
           coalesce(sum(c.spending_variance_amount) FILTER (WHERE c.spending_variance_amount < 0),
                    0.00) AS "underspendAmount",
           coalesce(sum(c.spending_variance_amount), 0.00) AS "netAmount",
           count(*) FILTER (WHERE c.performance_status = 'red') AS red,
           count(*) FILTER (WHERE c.performance_status = 'yellow') AS yellow,
           count(*) FILTER (WHERE c.performance_status = 'green') AS green
    FROM cost_categories AS c
    JOIN period ON period.id = c.period_id
)
