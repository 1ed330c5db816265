-- summary: the period's totals; percentages are of the sums
--
-- Without member months there are no amounts, and the sum of what is unknown is not 0.
amounts AS (
    SELECT sum(c.spending_variance_amount) AS net,
           sum(c.spending_variance_amount) FILTER (WHERE c.spending_variance_amount > 0) AS above,
           sum(c.spending_variance_amount) FILTER (WHERE c.spending_variance_amount < 0) AS below,
           CASE WHEN count(c.spending_variance_amount) > 0 OR count(*) = 0 THEN 0.00 END AS nothing
    FROM cost_categories AS c
    JOIN period ON period.id = c.period_id
),
summary AS (
    SELECT sum(c.spending_pmpm_actual) AS "actualPmpm",
           sum(c.spending_pmpm_benchmark) AS "benchmarkPmpm",
           round(100 * (sum(c.spending_pmpm_actual) - sum(c.spending_pmpm_benchmark))
                 / nullif(sum(c.spending_pmpm_benchmark), 0), 2) AS "variancePercent",
           (SELECT coalesce(above, nothing) FROM amounts) AS "overspendAmount",
           (SELECT coalesce(below, nothing) FROM amounts) AS "underspendAmount",
           (SELECT coalesce(net, nothing) FROM amounts) AS "netAmount",
           count(*) FILTER (WHERE c.performance_status = 'red') AS red,
           count(*) FILTER (WHERE c.performance_status = 'yellow') AS yellow,
           count(*) FILTER (WHERE c.performance_status = 'green') AS green
    FROM cost_categories AS c
    JOIN period ON period.id = c.period_id
)
