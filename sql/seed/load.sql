-- Loads the initial data of the leadership feedback tables from the CSV files next to it
--
-- What:  A CSV file is named after the table that it fills. Its rows are copied into the staging
--        table of that name behind "seed_", and the statements below merge them. A file that is
--        left out leaves its staging table empty, and its table is not touched.
--
-- How:   The staging tables come first: they are the shape of the files. NOT NULL is a column that
--        a file must have, a DEFAULT stands for a column that it leaves out. What has no NOT NULL
--        may be left out or empty. Empty is NULL, which means unknown, or computed below where a
--        comment says so.
--
--        Then, table by table: a SELECT finds the rows that cannot be merged, as (tableoid, ctid,
--        column, problem), and an INSERT adds those that do not exist yet. Existing rows are never
--        updated, so what people entered is kept. If a SELECT has found anything,
--        or a statement fails, nothing at all is loaded.
--
-- Why:   Rows refer to each other by natural keys (period_key, slug, title), so that a spreadsheet
--        is enough to edit them. Values that follow from other rows are computed here, so that they
--        are right.
--
-- A key is COLLATE "C" only because that makes it cheap to check.

CREATE TEMPORARY TABLE seed_performance_periods (
    period_key     varchar(50)   COLLATE "C" NOT NULL,
    period_label   varchar(100)  NOT NULL,
    start_date     date          NOT NULL,
    end_date       date          NOT NULL,
    is_active      boolean       NOT NULL DEFAULT false,
    member_months  integer
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_performance_metrics (
    period_key       varchar(50)    COLLATE "C" NOT NULL,
    metric_type      varchar(100)   COLLATE "C" NOT NULL,
    -- Computed where it is empty, for cost_pmpm, total_cost and cost_savings_opportunity.
    current_value    numeric(18,4),
    -- Computed where it is empty, for cost_pmpm.
    previous_value   numeric(18,4),
    -- Computed where it is empty, for cost_pmpm and total_cost.
    benchmark_value  numeric(18,4),
    display_format   varchar(50)    NOT NULL DEFAULT 'number'
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_cost_categories (
    period_key               varchar(50)    COLLATE "C" NOT NULL,
    slug                     varchar(50)    COLLATE "C" NOT NULL,
    category_name            varchar(255)   NOT NULL,
    spending_pmpm_actual     numeric(10,2)  NOT NULL,
    spending_pmpm_benchmark  numeric(10,2)  NOT NULL,
    trend_percent            numeric(6,1),
    utilization_actual       numeric(12,2)  NOT NULL,
    utilization_benchmark    numeric(12,2)  NOT NULL,
    utilization_unit         varchar(50),
    aco_rank                 integer,
    total_categories         integer,
    description              text,
    display_order            integer
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_recommendations (
    title                      varchar(255)   COLLATE "C" NOT NULL,
    description                text,
    status                     varchar(50)    NOT NULL DEFAULT 'not_started',
    priority                   varchar(20),
    is_measurable              boolean        NOT NULL DEFAULT true,
    -- Computed where it is empty: the sum of its impacts in recommendation_cost_categories.csv.
    estimated_savings          numeric(14,2),
    affected_lives             integer,
    cohort_size                integer,
    implementation_complexity  varchar(20),
    patient_cohort             text,
    has_program_details        boolean        NOT NULL DEFAULT false,
    program_overview           text,
    video_url                  varchar(500),
    can_convert_to_workflow    boolean        NOT NULL DEFAULT false,
    workflow_type              varchar(50),
    status_changed_at          timestamptz,
    status_changed_by          varchar(255)
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_recommendation_cost_categories (
    recommendation_title  varchar(255)   COLLATE "C" NOT NULL,
    period_key            varchar(50)    COLLATE "C" NOT NULL,
    slug                  varchar(50)    COLLATE "C" NOT NULL,
    impact_amount         numeric(14,2)
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_program_resources (
    recommendation_title  varchar(255)  COLLATE "C" NOT NULL,
    resource_type         varchar(50)   COLLATE "C" NOT NULL,
    -- Part of the key, because a title may be left out and a text may be edited.
    display_order         integer       NOT NULL,
    title                 varchar(255),
    content               text          NOT NULL,
    author                varchar(255),
    author_role           varchar(255)
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_efficiency_kpis (
    period_key          varchar(50)    COLLATE "C" NOT NULL,
    kpi_type            varchar(100)   COLLATE "C" NOT NULL,
    kpi_label           varchar(255)   NOT NULL,
    -- The category whose utilization this measure repeats; the two values are then its values, and
    -- stay empty here.
    slug                varchar(50),
    actual_value        numeric(12,2),
    aco_benchmark       numeric(12,2),
    milliman_benchmark  numeric(12,2),
    performance_status  varchar(20),
    display_format      varchar(50)    NOT NULL DEFAULT 'number',
    display_order       integer,
    aco_rank            integer
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_cost_opportunities (
    period_key         varchar(50)  COLLATE "C" NOT NULL,
    slug               varchar(50)  COLLATE "C" NOT NULL,
    display_order      integer,
    show_on_dashboard  boolean      NOT NULL DEFAULT true
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_cost_category_hospitals (
    period_key        varchar(50)    COLLATE "C" NOT NULL,
    slug              varchar(50)    COLLATE "C" NOT NULL,
    hospital_name     varchar(255)   COLLATE "C" NOT NULL,
    discharges        integer,
    avg_los           numeric(5,2),
    spend             numeric(14,2),
    readmission_rate  numeric(5,2),
    display_order     integer
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_cost_category_drgs (
    period_key       varchar(50)    COLLATE "C" NOT NULL,
    slug             varchar(50)    COLLATE "C" NOT NULL,
    -- Three digits. A spreadsheet turns 056 into the number 56; the zeros are put back below.
    drg_code         varchar(20)    COLLATE "C" NOT NULL,
    drg_description  varchar(500)   NOT NULL,
    patient_count    integer,
    total_spend      numeric(14,2),
    benchmark_avg    numeric(14,2),
    display_order    integer
) ON COMMIT DROP;

CREATE TEMPORARY TABLE seed_cost_category_discharging_hospitals (
    period_key                           varchar(50)   COLLATE "C" NOT NULL,
    slug                                 varchar(50)   COLLATE "C" NOT NULL,
    hospital_name                        varchar(255)  COLLATE "C" NOT NULL,
    discharges                           integer,
    -- Computed where it is empty: of the hospital's acute discharges in the same period.
    percent_discharged_to_irf            numeric(5,2),
    percent_discharged_to_irf_benchmark  numeric(5,2),
    display_order                        integer
) ON COMMIT DROP;


-- ------------------------------------------------------------------------------------------------
-- Natural keys: each occurs once in its file
--
-- Created after the rows are loaded, because checking row by row takes twice as long. The
-- drill-downs may have millions of rows: their keys begin with the columns that have the most
-- values, which makes them cheaper to sort, and what the joins below compare is analyzed.
-- ------------------------------------------------------------------------------------------------

CREATE UNIQUE INDEX ON seed_performance_periods
    (period_key);
CREATE UNIQUE INDEX ON seed_performance_metrics
    (period_key, metric_type);
CREATE UNIQUE INDEX ON seed_cost_categories
    (period_key, slug);
CREATE UNIQUE INDEX ON seed_recommendations
    (title);
CREATE UNIQUE INDEX ON seed_recommendation_cost_categories
    (recommendation_title, period_key, slug);
CREATE UNIQUE INDEX ON seed_program_resources
    (recommendation_title, resource_type, display_order);
CREATE UNIQUE INDEX ON seed_efficiency_kpis
    (period_key, kpi_type);
CREATE UNIQUE INDEX ON seed_cost_opportunities
    (period_key, slug);
CREATE UNIQUE INDEX ON seed_cost_category_hospitals
    (hospital_name, slug, period_key);
CREATE UNIQUE INDEX ON seed_cost_category_drgs
    (drg_code, slug, period_key);
CREATE UNIQUE INDEX ON seed_cost_category_discharging_hospitals
    (hospital_name, slug, period_key);

ANALYZE seed_cost_category_hospitals (hospital_name, slug, period_key),
        seed_cost_category_drgs (drg_code, slug, period_key),
        seed_cost_category_discharging_hospitals (hospital_name, slug, period_key);


-- ------------------------------------------------------------------------------------------------
-- performance_periods
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'is_active' AS "column",
       format('period "%s" is active as well, and only one can be', other.period_key) AS problem
FROM seed_performance_periods AS staged
JOIN (SELECT live.period_key, NULL AS ctid
      FROM performance_periods AS live
      WHERE live.is_active
      UNION ALL
      SELECT earlier.period_key, earlier.ctid
      FROM seed_performance_periods AS earlier
      WHERE earlier.is_active
     ) AS other (period_key, ctid)
     ON other.period_key <> staged.period_key
        AND (other.ctid IS NULL OR other.ctid < staged.ctid)
WHERE staged.is_active
  AND NOT EXISTS (SELECT FROM performance_periods AS live
                  WHERE live.period_key = staged.period_key);

INSERT INTO performance_periods
       (period_key, period_label, start_date, end_date, is_active, member_months)
SELECT staged.period_key, staged.period_label, staged.start_date, staged.end_date, staged.is_active,
       staged.member_months
FROM seed_performance_periods AS staged
WHERE NOT EXISTS (SELECT FROM performance_periods AS live
                  WHERE live.period_key = staged.period_key)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- cost_categories: amount, colour and flags follow from the PMPM and the period's member months
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'period_key' AS "column",
       format('there is no period "%s"', staged.period_key) AS problem
FROM seed_cost_categories AS staged
WHERE NOT EXISTS (SELECT FROM performance_periods AS period
                  WHERE period.period_key = staged.period_key);

INSERT INTO cost_categories
       (slug, category_name, period_id, spending_pmpm_actual, spending_pmpm_benchmark,
        spending_variance_amount, trend_percent, utilization_actual, utilization_benchmark,
        utilization_unit, performance_status, is_opportunity, is_strength, aco_rank,
        total_categories, description, display_order)
SELECT staged.slug, staged.category_name, period.id, staged.spending_pmpm_actual,
       staged.spending_pmpm_benchmark,
       round((staged.spending_pmpm_actual - staged.spending_pmpm_benchmark)
             * period.member_months, 2),
       staged.trend_percent, staged.utilization_actual, staged.utilization_benchmark,
       staged.utilization_unit, light.status, light.status = 'red', light.status = 'green',
       staged.aco_rank, staged.total_categories, staged.description, staged.display_order
FROM seed_cost_categories AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
-- More than 3 % above or below; multiplied, so that a benchmark of 0 needs no exception.
CROSS JOIN LATERAL (
    SELECT CASE WHEN staged.spending_pmpm_actual > 1.03 * staged.spending_pmpm_benchmark
                THEN 'red'
                WHEN staged.spending_pmpm_actual < 0.97 * staged.spending_pmpm_benchmark
                THEN 'green'
                ELSE 'yellow'
           END
) AS light (status)
WHERE NOT EXISTS (SELECT FROM cost_categories AS live
                  WHERE live.period_id = period.id AND live.slug = staged.slug)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- performance_metrics: in the order of the file, which is the order in which they are shown
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'period_key' AS "column",
       format('there is no period "%s"', staged.period_key) AS problem
FROM seed_performance_metrics AS staged
WHERE NOT EXISTS (SELECT FROM performance_periods AS period
                  WHERE period.period_key = staged.period_key);

SELECT staged.tableoid, staged.ctid, 'current_value' AS "column",
       CASE WHEN staged.metric_type IN ('cost_pmpm', 'total_cost', 'cost_savings_opportunity')
            THEN format('%s cannot be computed: period "%s" has no categories, or their amounts or'
                        ' its member months are unknown', staged.metric_type, staged.period_key)
            ELSE format('%s is not computed, so it must not be empty', staged.metric_type)
       END AS problem
FROM seed_performance_metrics AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
WHERE staged.current_value IS NULL
  AND (staged.metric_type NOT IN ('cost_pmpm', 'total_cost', 'cost_savings_opportunity')
       OR NOT EXISTS (SELECT FROM cost_categories AS category WHERE category.period_id = period.id)
       OR (staged.metric_type <> 'cost_pmpm' AND period.member_months IS NULL)
       OR (staged.metric_type = 'cost_savings_opportunity'
           AND EXISTS (SELECT FROM cost_categories AS category
                       WHERE category.period_id = period.id
                         AND category.spending_variance_amount IS NULL)));

INSERT INTO performance_metrics
       (period_id, metric_type, current_value, previous_value, benchmark_value, display_format)
SELECT period.id, staged.metric_type,
       coalesce(staged.current_value,
                CASE staged.metric_type
                    WHEN 'cost_pmpm' THEN total.pmpm
                    WHEN 'total_cost' THEN total.pmpm * period.member_months
                    WHEN 'cost_savings_opportunity' THEN total.overspent
                END),
       coalesce(staged.previous_value,
                CASE staged.metric_type WHEN 'cost_pmpm' THEN total.pmpm_before END),
       coalesce(staged.benchmark_value,
                CASE staged.metric_type
                    WHEN 'cost_pmpm' THEN total.pmpm_expected
                    WHEN 'total_cost' THEN total.pmpm_expected * period.member_months
                END),
       staged.display_format
FROM seed_performance_metrics AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
CROSS JOIN LATERAL (
    SELECT sum(category.spending_pmpm_actual) AS pmpm,
           sum(category.spending_pmpm_benchmark) AS pmpm_expected,
           -- Each category's trend leads back to what it cost the year before; where one is not
           -- known, neither is the sum.
           CASE WHEN bool_and(category.trend_percent > -100)
                THEN round(sum(category.spending_pmpm_actual
                               / nullif(1 + category.trend_percent / 100, 0)), 2)
           END AS pmpm_before,
           coalesce(sum(category.spending_variance_amount)
                        FILTER (WHERE category.spending_variance_amount > 0), 0) AS overspent
    FROM cost_categories AS category
    WHERE category.period_id = period.id
) AS total
WHERE NOT EXISTS (SELECT FROM performance_metrics AS live
                  WHERE live.period_id = period.id AND live.metric_type = staged.metric_type)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- recommendations
-- ------------------------------------------------------------------------------------------------

INSERT INTO recommendations
       (title, description, status, priority, is_measurable, estimated_savings, affected_lives,
        cohort_size, implementation_complexity, patient_cohort, has_program_details,
        program_overview, video_url, can_convert_to_workflow, workflow_type, status_changed_at,
        status_changed_by)
SELECT staged.title, staged.description, staged.status, staged.priority, staged.is_measurable,
       coalesce(staged.estimated_savings,
                (SELECT sum(link.impact_amount)
                 FROM seed_recommendation_cost_categories AS link
                 WHERE link.recommendation_title = staged.title)),
       staged.affected_lives, staged.cohort_size, staged.implementation_complexity,
       staged.patient_cohort, staged.has_program_details, staged.program_overview,
       staged.video_url, staged.can_convert_to_workflow, staged.workflow_type,
       staged.status_changed_at, staged.status_changed_by
FROM seed_recommendations AS staged
WHERE NOT EXISTS (SELECT FROM recommendations AS live WHERE live.title = staged.title)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- recommendation_cost_categories
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'recommendation_title' AS "column",
       CASE WHEN titled.count IS NULL
            THEN format('there is no recommendation "%s"', staged.recommendation_title)
            ELSE format('there are %s recommendations "%s", so it is not known which is meant',
                        titled.count, staged.recommendation_title)
       END AS problem
FROM seed_recommendation_cost_categories AS staged
LEFT JOIN (
    SELECT recommendation.title, count(*) AS count
    FROM recommendations AS recommendation
    GROUP BY recommendation.title
) AS titled ON titled.title = staged.recommendation_title
WHERE titled.count IS DISTINCT FROM 1;

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_recommendation_cost_categories AS staged
WHERE NOT EXISTS (SELECT
                  FROM cost_categories AS category
                  JOIN performance_periods AS period ON period.id = category.period_id
                  WHERE category.slug = staged.slug AND period.period_key = staged.period_key);

INSERT INTO recommendation_cost_categories (recommendation_id, cost_category_id, impact_amount)
SELECT recommendation.id, category.id, staged.impact_amount
FROM seed_recommendation_cost_categories AS staged
JOIN recommendations AS recommendation ON recommendation.title = staged.recommendation_title
JOIN performance_periods AS period ON period.period_key = staged.period_key
JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
WHERE NOT EXISTS (SELECT FROM recommendation_cost_categories AS live
                  WHERE live.recommendation_id = recommendation.id
                    AND live.cost_category_id = category.id)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- program_resources: only for recommendations that have a page of details
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'recommendation_title' AS "column",
       CASE WHEN titled.count IS NULL
            THEN format('there is no recommendation "%s"', staged.recommendation_title)
            WHEN titled.count > 1
            THEN format('there are %s recommendations "%s", so it is not known which is meant',
                        titled.count, staged.recommendation_title)
            ELSE format('recommendation "%s" has no page of details (has_program_details is false)',
                        staged.recommendation_title)
       END AS problem
FROM seed_program_resources AS staged
LEFT JOIN (
    SELECT recommendation.title, count(*) AS count,
           bool_or(recommendation.has_program_details) AS has_details
    FROM recommendations AS recommendation
    GROUP BY recommendation.title
) AS titled ON titled.title = staged.recommendation_title
WHERE titled.count IS DISTINCT FROM 1 OR NOT titled.has_details;

INSERT INTO program_resources
       (recommendation_id, resource_type, title, content, display_order, author, author_role)
SELECT recommendation.id, staged.resource_type, staged.title, staged.content, staged.display_order,
       staged.author, staged.author_role
FROM seed_program_resources AS staged
JOIN recommendations AS recommendation ON recommendation.title = staged.recommendation_title
WHERE NOT EXISTS (SELECT FROM program_resources AS live
                  WHERE live.recommendation_id = recommendation.id
                    AND live.resource_type = staged.resource_type
                    AND live.display_order = staged.display_order)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- efficiency_kpis: a measure that repeats a category's utilization takes its numbers from there
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'period_key' AS "column",
       format('there is no period "%s"', staged.period_key) AS problem
FROM seed_efficiency_kpis AS staged
WHERE NOT EXISTS (SELECT FROM performance_periods AS period
                  WHERE period.period_key = staged.period_key);

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_efficiency_kpis AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
WHERE staged.slug IS NOT NULL
  AND NOT EXISTS (SELECT FROM cost_categories AS category
                  WHERE category.period_id = period.id AND category.slug = staged.slug);

SELECT staged.tableoid, staged.ctid, 'actual_value' AS "column",
       CASE WHEN staged.slug IS NULL THEN 'it must not be empty where no category is named'
            ELSE format('it must be empty: it is the utilization of category "%s"', staged.slug)
       END AS problem
FROM seed_efficiency_kpis AS staged
WHERE (staged.slug IS NULL) = (staged.actual_value IS NULL)
   OR (staged.slug IS NOT NULL AND staged.aco_benchmark IS NOT NULL);

INSERT INTO efficiency_kpis
       (period_id, kpi_type, kpi_label, actual_value, aco_benchmark, milliman_benchmark,
        performance_status, display_format, display_order, aco_rank)
SELECT period.id, staged.kpi_type, staged.kpi_label,
       coalesce(category.utilization_actual, staged.actual_value),
       coalesce(category.utilization_benchmark, staged.aco_benchmark),
       staged.milliman_benchmark, staged.performance_status, staged.display_format,
       staged.display_order, staged.aco_rank
FROM seed_efficiency_kpis AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
LEFT JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
WHERE coalesce(category.utilization_actual, staged.actual_value) IS NOT NULL
  AND NOT EXISTS (SELECT FROM efficiency_kpis AS live
                  WHERE live.period_id = period.id AND live.kpi_type = staged.kpi_type)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- cost_opportunities: type, amount, percent and rank are the category's
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_cost_opportunities AS staged
WHERE NOT EXISTS (SELECT
                  FROM cost_categories AS category
                  JOIN performance_periods AS period ON period.id = category.period_id
                  WHERE category.slug = staged.slug AND period.period_key = staged.period_key);

INSERT INTO cost_opportunities
       (period_id, cost_category_id, opportunity_type, amount_variance, percent_variance, aco_rank,
        display_order, show_on_dashboard)
SELECT period.id, category.id,
       -- By the PMPM, because the amount is unknown where the member months are.
       CASE sign(category.spending_pmpm_actual - category.spending_pmpm_benchmark)
           WHEN 1 THEN 'overspending'
           WHEN -1 THEN 'efficient'
           ELSE 'neutral'
       END,
       category.spending_variance_amount, category.spending_variance_percent, category.aco_rank,
       staged.display_order, staged.show_on_dashboard
FROM seed_cost_opportunities AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
WHERE NOT EXISTS (SELECT FROM cost_opportunities AS live
                  WHERE live.period_id = period.id AND live.cost_category_id = category.id)
ORDER BY staged.ctid;


-- ------------------------------------------------------------------------------------------------
-- cost_category_hospitals, cost_category_drgs, cost_category_discharging_hospitals: drill-downs
--
-- These may have millions of rows, so they are not sorted.
-- ------------------------------------------------------------------------------------------------

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_cost_category_hospitals AS staged
WHERE NOT EXISTS (SELECT
                  FROM cost_categories AS category
                  JOIN performance_periods AS period ON period.id = category.period_id
                  WHERE category.slug = staged.slug AND period.period_key = staged.period_key);

INSERT INTO cost_category_hospitals
       (cost_category_id, hospital_name, discharges, avg_los, spend, readmission_rate,
        display_order)
SELECT category.id, staged.hospital_name, staged.discharges, staged.avg_los, staged.spend,
       staged.readmission_rate, staged.display_order
FROM seed_cost_category_hospitals AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
WHERE NOT EXISTS (SELECT FROM cost_category_hospitals AS live
                  WHERE live.cost_category_id = category.id
                    AND live.hospital_name = staged.hospital_name);

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_cost_category_drgs AS staged
WHERE NOT EXISTS (SELECT
                  FROM cost_categories AS category
                  JOIN performance_periods AS period ON period.id = category.period_id
                  WHERE category.slug = staged.slug AND period.period_key = staged.period_key);

INSERT INTO cost_category_drgs
       (cost_category_id, drg_code, drg_description, patient_count, total_spend, benchmark_avg,
        display_order)
SELECT category.id, code.padded, staged.drg_description, staged.patient_count, staged.total_spend,
       staged.benchmark_avg, staged.display_order
FROM seed_cost_category_drgs AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
CROSS JOIN LATERAL (
    SELECT CASE WHEN length(staged.drg_code) < 3 AND staged.drg_code ~ '^[0-9]+$'
                THEN lpad(staged.drg_code, 3, '0')
                ELSE staged.drg_code
           END
) AS code (padded)
WHERE NOT EXISTS (SELECT FROM cost_category_drgs AS live
                  WHERE live.cost_category_id = category.id AND live.drg_code = code.padded);

SELECT staged.tableoid, staged.ctid, 'slug' AS "column",
       format('there is no category "%s" in period "%s"', staged.slug, staged.period_key) AS problem
FROM seed_cost_category_discharging_hospitals AS staged
WHERE NOT EXISTS (SELECT
                  FROM cost_categories AS category
                  JOIN performance_periods AS period ON period.id = category.period_id
                  WHERE category.slug = staged.slug AND period.period_key = staged.period_key);

INSERT INTO cost_category_discharging_hospitals
       (cost_category_id, hospital_name, discharges, percent_discharged_to_irf,
        percent_discharged_to_irf_benchmark, display_order)
SELECT category.id, staged.hospital_name, staged.discharges,
       coalesce(staged.percent_discharged_to_irf,
                round(100.0 * staged.discharges / nullif(acute.discharges, 0), 2)),
       staged.percent_discharged_to_irf_benchmark, staged.display_order
FROM seed_cost_category_discharging_hospitals AS staged
JOIN performance_periods AS period ON period.period_key = staged.period_key
JOIN cost_categories AS category
     ON category.period_id = period.id AND category.slug = staged.slug
LEFT JOIN LATERAL (
    SELECT sum(hospital.discharges) AS discharges
    FROM cost_category_hospitals AS hospital
    JOIN cost_categories AS stays ON stays.id = hospital.cost_category_id
    WHERE stays.period_id = period.id
      AND stays.slug IN ('ip-surgical', 'inpatient-medical')
      AND hospital.hospital_name = staged.hospital_name
) AS acute ON staged.percent_discharged_to_irf IS NULL
WHERE NOT EXISTS (SELECT FROM cost_category_discharging_hospitals AS live
                  WHERE live.cost_category_id = category.id
                    AND live.hospital_name = staged.hospital_name);
