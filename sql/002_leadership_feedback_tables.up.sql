-- 002: the leadership feedback tables of an ACO (Accountable Care Organization) cost dashboard
-- lfmigrate: rerunnable
--
-- What:  Eleven tables, their indexes, two trigger functions and their triggers. They hold
--        reporting periods, headline numbers, the cost and use of every service line against its
--        benchmark, quality measures, and recommendations with the categories that they touch. Two
--        views on top of them are in views/.
--
-- Why:   A leader asks where the money goes, how that compares, and what to do about it. The answer
--        has to add up, so a number that follows from its neighbours is computed by the server, one
--        that must agree with them is checked, and a detail always belongs to a parent of its own
--        period.
--
-- Down:  Drops all of it, and every row in the eleven tables is lost: periods, metrics, categories,
--        recommendations with their status history, and drill-downs. Only a backup restores them.
--
-- By hand, once or any number of times:
--   psql "$DATABASE_URL" -f 002_leadership_feedback_tables.up.sql
--
-- Reading guide, for what all tables have in common:
--
--   * A vocabulary is text with a CHECK. A filter with an unknown word then finds no rows, where an
--     ENUM would raise an error.
--   * A CHECK passes when it is NULL, and that is used on purpose: NULL means "not known", and what
--     is not known contradicts nothing. Where NULL is no answer, the column is NOT NULL.
--   * numeric allows NaN, which sorts above every number and so passes ">= 0". Loaders that write
--     NaN for a missing value are common; the checks reject it, because unknown is NULL here.
--   * A derived percentage has one guard: |difference| < 99999 * |divisor|. It is false for a
--     divisor of 0 and NULL for a missing input, so both give NULL. It also keeps the result inside
--     numeric(9,2): a benchmark of 0.01 must not make a true row fail, and beyond 9,999,900 % a
--     percentage says nothing, so that is NULL, too.
--   * The indexes come after their tables. Every foreign key has one that starts with its columns;
--     where a unique constraint does so already, there is no second index.
--   * A table that existed before keeps its columns and constraints, and gets the indexes, triggers
--     and comments that it lacks. Triggers and comments are created only for columns that exist, so
--     that an older table without one of the columns does not stop the rest.


-- ------------------------------------------------------------------------------------------------
-- Trigger functions
--
-- Their names are long on purpose: CREATE OR REPLACE must not overwrite another application's
-- set_updated_at().
-- ------------------------------------------------------------------------------------------------

-- The server's clock decides, whatever the client sent. An update that changes no value counts,
-- too: the column says when the row was last written.
CREATE OR REPLACE FUNCTION leadership_feedback_set_updated_at()
RETURNS trigger
LANGUAGE plpgsql
AS $function$
BEGIN
    NEW.updated_at := now();
    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION leadership_feedback_set_updated_at() IS
    'Trigger function: sets updated_at to the start of the transaction that updates the row.';

-- A time that the client sends is kept: a late entry may say when the decision was really made.
-- A row that is inserted with another status counts as changed from not_started, because nothing
-- else is known at that moment, so it is stamped like a change. An update that does not change the
-- status never stamps: it would claim a change that did not happen. The status is compared as text,
-- because an older table may use an enum that does not have the word.
--
-- So is a name that the client sends, NULL included. Without one the role is recorded: the name that
-- is there belongs to the person before, who may also be the one who sends it again. Only whether
-- the statement sets the column tells these two apart, and only a trigger that is fired by the
-- column knows that. It comes first, by its name and with an argument, and leaves a mark where the
-- name is the same as before. A row that is inserted with a time and without a name is a late entry
-- of a decision by someone who is not known. An older table may lack the column.
CREATE OR REPLACE FUNCTION leadership_feedback_stamp_status_change()
RETURNS trigger
LANGUAGE plpgsql
AS $function$
DECLARE
    same_name_again CONSTANT text := E'\x01';
    is_named boolean := true;
BEGIN
    IF TG_NARGS > 0 THEN
        IF NEW.status_changed_by IS NOT DISTINCT FROM OLD.status_changed_by THEN
            NEW.status_changed_by := same_name_again;
        ELSIF NEW.status_changed_by = same_name_again THEN
            NEW.status_changed_by := current_user;  -- the mark of a client is no name
        END IF;
        RETURN NEW;
    END IF;

    IF to_jsonb(NEW) ? 'status_changed_by' THEN
        IF TG_OP = 'UPDATE' THEN
            is_named := NEW.status_changed_by IS DISTINCT FROM OLD.status_changed_by;
            IF NEW.status_changed_by = same_name_again THEN
                NEW.status_changed_by := OLD.status_changed_by;
            END IF;
        ELSE
            is_named := NEW.status_changed_by IS NOT NULL OR NEW.status_changed_at IS NOT NULL
                        OR NEW.status::text = 'not_started';
        END IF;
    END IF;

    IF TG_OP = 'UPDATE' AND NEW.status IS NOT DISTINCT FROM OLD.status THEN
        RETURN NEW;
    END IF;

    IF NOT is_named THEN
        NEW.status_changed_by := current_user;
    END IF;

    IF TG_OP = 'UPDATE' AND NEW.status_changed_at IS NOT DISTINCT FROM OLD.status_changed_at THEN
        NEW.status_changed_at := now();  -- the present time belongs to the old status
    ELSIF NEW.status::text <> 'not_started' AND NEW.status_changed_at IS NULL THEN
        NEW.status_changed_at := now();
    END IF;

    RETURN NEW;
END
$function$;

COMMENT ON FUNCTION leadership_feedback_stamp_status_change() IS
    'Trigger function: sets status_changed_at and status_changed_by when the status changes and the '
    'writer gave no time or no name.';


-- ------------------------------------------------------------------------------------------------
-- performance_periods: the windows that everything else is reported for
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS performance_periods (
    id             integer       GENERATED BY DEFAULT AS IDENTITY,
    period_key     varchar(50)   NOT NULL,
    period_label   varchar(100)  NOT NULL,
    start_date     date          NOT NULL,
    end_date       date          NOT NULL,
    is_active      boolean       NOT NULL DEFAULT false,
    member_months  integer,
    created_at     timestamptz   NOT NULL DEFAULT now(),
    updated_at     timestamptz   NOT NULL DEFAULT now(),

    CONSTRAINT performance_periods_pkey
        PRIMARY KEY (id),
    CONSTRAINT performance_periods_period_key_key
        UNIQUE (period_key),
    CONSTRAINT performance_periods_period_key_check
        CHECK (period_key ~ '^[a-z0-9]+(_[a-z0-9]+)*$'),
    CONSTRAINT performance_periods_period_label_check
        CHECK (period_label ~ '[^[:space:]]'),
    -- Both days are part of the period, so a period of one day starts and ends on it.
    CONSTRAINT performance_periods_end_date_check
        CHECK (end_date >= start_date),
    -- A reader may count the days, and a driver may have no date for infinity.
    CONSTRAINT performance_periods_infinity_check
        CHECK (isfinite(start_date) AND isfinite(end_date)),
    -- A denominator. Zero would be a division by zero in waiting; unknown is NULL.
    CONSTRAINT performance_periods_member_months_check
        CHECK (member_months > 0)
);

-- Only rows that are true are in this index, so there is at most one of them.
CREATE UNIQUE INDEX IF NOT EXISTS performance_periods_is_active_idx
    ON performance_periods (is_active)
    WHERE is_active;

COMMENT ON TABLE performance_periods IS
    'A reporting window, such as the year to date. At most one is active: the one that is shown.';


-- ------------------------------------------------------------------------------------------------
-- performance_metrics: the headline numbers of a period, shown in the order of their ids
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS performance_metrics (
    id                  integer        GENERATED BY DEFAULT AS IDENTITY,
    period_id           integer        NOT NULL,
    metric_type         varchar(100)   NOT NULL,
    current_value       numeric(18,4)  NOT NULL,
    previous_value      numeric(18,4),
    -- Plain arithmetic, for negative values as well: from -100 to -50 is -50 %, although the value
    -- rose. The direction is in change_direction, which compares the values.
    change_percent      numeric(9,2)   GENERATED ALWAYS AS (
        CASE WHEN abs(current_value - previous_value) < 99999 * abs(previous_value)
             THEN round(100 * (current_value - previous_value) / previous_value, 2)
        END
    ) STORED,
    change_direction    varchar(10)    GENERATED ALWAYS AS (
        CASE WHEN current_value > previous_value THEN 'up'
             WHEN current_value < previous_value THEN 'down'
             WHEN current_value = previous_value THEN 'flat'
        END
    ) STORED,
    benchmark_value     numeric(18,4),
    is_above_benchmark  boolean        GENERATED ALWAYS AS (
        current_value > benchmark_value
    ) STORED,
    display_format      varchar(50)    NOT NULL DEFAULT 'number',
    created_at          timestamptz    NOT NULL DEFAULT now(),
    updated_at          timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT performance_metrics_pkey
        PRIMARY KEY (id),
    -- Starts with period_id, so it serves the foreign key as well.
    CONSTRAINT performance_metrics_period_id_metric_type_key
        UNIQUE (period_id, metric_type),
    CONSTRAINT performance_metrics_period_id_fkey
        FOREIGN KEY (period_id) REFERENCES performance_periods (id) ON DELETE CASCADE,
    CONSTRAINT performance_metrics_metric_type_check
        CHECK (metric_type ~ '^[a-z0-9]+(_[a-z0-9]+)*$'),
    CONSTRAINT performance_metrics_display_format_check
        CHECK (display_format IN ('currency', 'number', 'percent')),
    CONSTRAINT performance_metrics_nan_check
        CHECK ('NaN' NOT IN (current_value, previous_value, benchmark_value))
);

COMMENT ON TABLE performance_metrics IS
    'One headline number of a period, with the year before and a benchmark. Shown in id order.';


-- ------------------------------------------------------------------------------------------------
-- cost_categories: one service line in one period
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS cost_categories (
    id                            integer        GENERATED BY DEFAULT AS IDENTITY,
    slug                          varchar(50)    NOT NULL,
    category_name                 varchar(255)   NOT NULL,
    period_id                     integer        NOT NULL,
    spending_pmpm_actual          numeric(10,2)  NOT NULL,
    spending_pmpm_benchmark       numeric(10,2)  NOT NULL,
    spending_variance_amount      numeric(14,2),
    spending_variance_percent     numeric(9,2)   GENERATED ALWAYS AS (
        CASE WHEN abs(spending_pmpm_actual - spending_pmpm_benchmark)
                  < 99999 * spending_pmpm_benchmark
             THEN round(100 * (spending_pmpm_actual - spending_pmpm_benchmark)
                        / spending_pmpm_benchmark, 2)
        END
    ) STORED,
    trend_percent                 numeric(6,1)   DEFAULT 0.0,
    utilization_actual            numeric(12,2)  NOT NULL,
    utilization_benchmark         numeric(12,2)  NOT NULL,
    utilization_variance_percent  numeric(9,2)   GENERATED ALWAYS AS (
        CASE WHEN abs(utilization_actual - utilization_benchmark)
                  < 99999 * utilization_benchmark
             THEN round(100 * (utilization_actual - utilization_benchmark)
                        / utilization_benchmark, 2)
        END
    ) STORED,
    utilization_unit              varchar(50),
    performance_status            varchar(20)    NOT NULL,
    is_opportunity                boolean        NOT NULL DEFAULT false,
    is_strength                   boolean        NOT NULL DEFAULT false,
    aco_rank                      integer,
    total_categories              integer,
    description                   text,
    display_order                 integer,
    created_at                    timestamptz    NOT NULL DEFAULT now(),
    updated_at                    timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT cost_categories_pkey
        PRIMARY KEY (id),
    -- The same slug comes back in every period; that is how periods are compared.
    CONSTRAINT cost_categories_slug_period_id_key
        UNIQUE (slug, period_id),
    CONSTRAINT cost_categories_period_id_fkey
        FOREIGN KEY (period_id) REFERENCES performance_periods (id) ON DELETE CASCADE,
    CONSTRAINT cost_categories_slug_check
        CHECK (slug ~ '^[a-z0-9]+(-[a-z0-9]+)*$'),
    CONSTRAINT cost_categories_spending_pmpm_actual_check
        CHECK (spending_pmpm_actual >= 0 AND spending_pmpm_actual <> 'NaN'),
    CONSTRAINT cost_categories_spending_pmpm_benchmark_check
        CHECK (spending_pmpm_benchmark >= 0 AND spending_pmpm_benchmark <> 'NaN'),
    -- The amount is not derived, because its factor, the member months, is in another table; its
    -- sign can be checked here. Rounding does not interfere: a difference is 0.01 at least, and is
    -- multiplied by one member month at least, so the amount is 0.00 only where the difference is.
    -- NULL passes: without member months there is no amount.
    CONSTRAINT cost_categories_spending_variance_amount_check
        CHECK (sign(spending_variance_amount)
               = sign(spending_pmpm_actual - spending_pmpm_benchmark)),
    CONSTRAINT cost_categories_trend_percent_check
        CHECK (trend_percent <> 'NaN'),
    CONSTRAINT cost_categories_utilization_actual_check
        CHECK (utilization_actual >= 0 AND utilization_actual <> 'NaN'),
    CONSTRAINT cost_categories_utilization_benchmark_check
        CHECK (utilization_benchmark >= 0 AND utilization_benchmark <> 'NaN'),
    -- A pattern, not a list: a new kind of service has a new unit.
    CONSTRAINT cost_categories_utilization_unit_check
        CHECK (utilization_unit ~ '^[a-z0-9]+(_[a-z0-9]+)*$'),
    CONSTRAINT cost_categories_performance_status_check
        CHECK (performance_status IN ('red', 'yellow', 'green')),
    CONSTRAINT cost_categories_is_strength_check
        CHECK (NOT (is_opportunity AND is_strength)),
    -- Either may be unknown. A rank without its total still has to be 1 or more, because false AND
    -- NULL is false; the total has a check of its own for when there is no rank.
    CONSTRAINT cost_categories_aco_rank_check
        CHECK (aco_rank >= 1 AND aco_rank <= total_categories),
    CONSTRAINT cost_categories_total_categories_check
        CHECK (total_categories >= 1)
);

-- What cost_opportunities' composite foreign key refers to. An index, not a constraint: so it is
-- also made on a table that was there before, and the foreign key has something to refer to.
CREATE UNIQUE INDEX IF NOT EXISTS cost_categories_id_period_id_key
    ON cost_categories (id, period_id);

CREATE INDEX IF NOT EXISTS cost_categories_period_id_display_order_idx
    ON cost_categories (period_id, display_order);

CREATE INDEX IF NOT EXISTS cost_categories_performance_status_idx
    ON cost_categories (performance_status);

COMMENT ON TABLE cost_categories IS
    'One service line in one period: what it cost and how much was used, against the benchmark.';


-- ------------------------------------------------------------------------------------------------
-- recommendations: possible measures; not tied to a period
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS recommendations (
    id                         integer        GENERATED BY DEFAULT AS IDENTITY,
    title                      varchar(255)   NOT NULL,
    description                text,
    status                     varchar(50)    NOT NULL DEFAULT 'not_started',
    priority                   varchar(20),
    is_measurable              boolean        NOT NULL DEFAULT true,
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
    status_changed_by          varchar(255),
    created_at                 timestamptz    NOT NULL DEFAULT now(),
    updated_at                 timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT recommendations_pkey
        PRIMARY KEY (id),
    CONSTRAINT recommendations_status_check
        CHECK (status IN ('not_started', 'acknowledged', 'accepted', 'rejected',
                          'already_doing', 'in_progress', 'completed')),
    CONSTRAINT recommendations_priority_check
        CHECK (priority IN ('high', 'medium', 'low')),
    CONSTRAINT recommendations_estimated_savings_check
        CHECK (estimated_savings >= 0 AND estimated_savings <> 'NaN'),
    CONSTRAINT recommendations_affected_lives_check
        CHECK (affected_lives >= 0),
    CONSTRAINT recommendations_cohort_size_check
        CHECK (cohort_size >= 0),
    CONSTRAINT recommendations_implementation_complexity_check
        CHECK (implementation_complexity IN ('high', 'medium', 'low')),
    -- A link that a browser is sent to: no javascript:, no bare host, no blanks.
    CONSTRAINT recommendations_video_url_check
        CHECK (video_url ~* '^https?://[^[:space:]]+$'),
    -- IS NULL is spelled out: "workflow_type only when convertible" is about whether there is one.
    CONSTRAINT recommendations_workflow_type_check
        CHECK (can_convert_to_workflow OR workflow_type IS NULL),
    -- The trigger fills the time in; this refuses the update that would erase it.
    CONSTRAINT recommendations_status_changed_at_check
        CHECK (status = 'not_started' OR status_changed_at IS NOT NULL),
    CONSTRAINT recommendations_infinity_check
        CHECK (isfinite(status_changed_at)),
    -- One line. It also keeps the mark of the trigger out, if only one of its two is disabled.
    CONSTRAINT recommendations_status_changed_by_check
        CHECK (status_changed_by !~ '[[:cntrl:]]')
);

CREATE INDEX IF NOT EXISTS recommendations_status_idx
    ON recommendations (status);

CREATE INDEX IF NOT EXISTS recommendations_priority_estimated_savings_idx
    ON recommendations (priority, estimated_savings DESC NULLS LAST);

COMMENT ON TABLE recommendations IS
    'An action to lower cost or improve care, and how far it has got. Not tied to a period.';


-- ------------------------------------------------------------------------------------------------
-- recommendation_cost_categories: which categories a recommendation touches
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS recommendation_cost_categories (
    id                 integer        GENERATED BY DEFAULT AS IDENTITY,
    recommendation_id  integer        NOT NULL,
    cost_category_id   integer        NOT NULL,
    impact_amount      numeric(14,2),
    created_at         timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT recommendation_cost_categories_pkey
        PRIMARY KEY (id),
    -- "pair" because the names of both columns do not fit into the 63 bytes of a name.
    CONSTRAINT recommendation_cost_categories_pair_key
        UNIQUE (recommendation_id, cost_category_id),
    CONSTRAINT recommendation_cost_categories_recommendation_id_fkey
        FOREIGN KEY (recommendation_id) REFERENCES recommendations (id) ON DELETE CASCADE,
    CONSTRAINT recommendation_cost_categories_cost_category_id_fkey
        FOREIGN KEY (cost_category_id) REFERENCES cost_categories (id) ON DELETE CASCADE,
    CONSTRAINT recommendation_cost_categories_impact_amount_check
        CHECK (impact_amount >= 0 AND impact_amount <> 'NaN')
);

CREATE INDEX IF NOT EXISTS recommendation_cost_categories_cost_category_id_idx
    ON recommendation_cost_categories (cost_category_id);

COMMENT ON TABLE recommendation_cost_categories IS
    'A category that a recommendation touches, and the part of the savings that is expected there. '
    'The category is of one period, in the seed of the active one: join by slug for another period.';


-- ------------------------------------------------------------------------------------------------
-- program_resources: how to carry a recommendation out
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS program_resources (
    id                 integer       GENERATED BY DEFAULT AS IDENTITY,
    recommendation_id  integer       NOT NULL,
    resource_type      varchar(50)   NOT NULL,
    title              varchar(255),
    content            text          NOT NULL,
    display_order      integer,
    author             varchar(255),
    author_role        varchar(255),
    created_at         timestamptz   NOT NULL DEFAULT now(),

    CONSTRAINT program_resources_pkey
        PRIMARY KEY (id),
    CONSTRAINT program_resources_recommendation_id_fkey
        FOREIGN KEY (recommendation_id) REFERENCES recommendations (id) ON DELETE CASCADE,
    CONSTRAINT program_resources_resource_type_check
        CHECK (resource_type IN ('best_practice', 'testimonial', 'implementation_step')),
    -- A quotation needs an author; everything else needs a heading.
    CONSTRAINT program_resources_title_check
        CHECK (resource_type = 'testimonial' OR title IS NOT NULL),
    CONSTRAINT program_resources_author_check
        CHECK (resource_type <> 'testimonial' OR author IS NOT NULL)
);

CREATE INDEX IF NOT EXISTS program_resources_recommendation_id_display_order_id_idx
    ON program_resources (recommendation_id, display_order, id);

COMMENT ON TABLE program_resources IS
    'Help with carrying out a recommendation: a practice, a step, or the words of one who did it.';


-- ------------------------------------------------------------------------------------------------
-- efficiency_kpis: quality and efficiency measures (key performance indicators) of a period
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS efficiency_kpis (
    id                  integer        GENERATED BY DEFAULT AS IDENTITY,
    period_id           integer        NOT NULL,
    kpi_type            varchar(100)   NOT NULL,
    kpi_label           varchar(255)   NOT NULL,
    actual_value        numeric(12,2)  NOT NULL,
    aco_benchmark       numeric(12,2),
    milliman_benchmark  numeric(12,2),
    -- The sign is arithmetic: for readmissions a plus is bad, for wellness visits it is good.
    variance_percent    numeric(9,2)   GENERATED ALWAYS AS (
        CASE WHEN abs(actual_value - aco_benchmark) < 99999 * abs(aco_benchmark)
             THEN round(100 * (actual_value - aco_benchmark) / aco_benchmark, 2)
        END
    ) STORED,
    performance_status  varchar(20),
    display_format      varchar(50)    NOT NULL DEFAULT 'number',
    display_order       integer,
    aco_rank            integer,
    created_at          timestamptz    NOT NULL DEFAULT now(),
    updated_at          timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT efficiency_kpis_pkey
        PRIMARY KEY (id),
    -- Starts with period_id, so it serves the foreign key as well.
    CONSTRAINT efficiency_kpis_period_id_kpi_type_key
        UNIQUE (period_id, kpi_type),
    CONSTRAINT efficiency_kpis_period_id_fkey
        FOREIGN KEY (period_id) REFERENCES performance_periods (id) ON DELETE CASCADE,
    CONSTRAINT efficiency_kpis_performance_status_check
        CHECK (performance_status IN ('good', 'warning', 'poor', 'bad')),
    CONSTRAINT efficiency_kpis_display_format_check
        CHECK (display_format IN ('percent', 'per_thousand', 'number')),
    -- What is shown as a percentage is a share, the benchmarks included. A benchmark that is not
    -- known does not hide a value that is out of range: false AND NULL is false.
    CONSTRAINT efficiency_kpis_percent_check
        CHECK (display_format <> 'percent'
               OR (actual_value BETWEEN 0 AND 100
                   AND aco_benchmark BETWEEN 0 AND 100
                   AND milliman_benchmark BETWEEN 0 AND 100)),
    CONSTRAINT efficiency_kpis_aco_rank_check
        CHECK (aco_rank >= 1),
    CONSTRAINT efficiency_kpis_nan_check
        CHECK ('NaN' NOT IN (actual_value, aco_benchmark, milliman_benchmark))
);

COMMENT ON TABLE efficiency_kpis IS
    'A quality or efficiency measure (key performance indicator) of a period, with its benchmarks.';


-- ------------------------------------------------------------------------------------------------
-- cost_opportunities: the dashboard's summary of where a period was over or under its benchmark
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS cost_opportunities (
    id                 integer        GENERATED BY DEFAULT AS IDENTITY,
    period_id          integer        NOT NULL,
    cost_category_id   integer        NOT NULL,
    opportunity_type   varchar(50)    NOT NULL,
    amount_variance    numeric(14,2),
    percent_variance   numeric(9,2),
    aco_rank           integer,
    display_order      integer,
    show_on_dashboard  boolean        NOT NULL DEFAULT true,
    created_at         timestamptz    NOT NULL DEFAULT now(),
    updated_at         timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT cost_opportunities_pkey
        PRIMARY KEY (id),
    CONSTRAINT cost_opportunities_period_id_cost_category_id_key
        UNIQUE (period_id, cost_category_id),
    CONSTRAINT cost_opportunities_period_id_fkey
        FOREIGN KEY (period_id) REFERENCES performance_periods (id) ON DELETE CASCADE,
    -- Both columns together, so that the summary of one period cannot point at a category of
    -- another.
    CONSTRAINT cost_opportunities_cost_category_id_period_id_fkey
        FOREIGN KEY (cost_category_id, period_id)
        REFERENCES cost_categories (id, period_id) ON DELETE CASCADE,
    CONSTRAINT cost_opportunities_opportunity_type_check
        CHECK (opportunity_type IN ('overspending', 'efficient', 'neutral')),
    -- An unknown amount agrees with every type: in a period without member months the PMPM still
    -- determines the type. An unknown word is rejected by the other check.
    CONSTRAINT cost_opportunities_amount_variance_check
        CHECK (CASE opportunity_type
                   WHEN 'overspending' THEN amount_variance > 0
                   WHEN 'efficient'    THEN amount_variance < 0
                   WHEN 'neutral'      THEN amount_variance = 0
               END),
    CONSTRAINT cost_opportunities_aco_rank_check
        CHECK (aco_rank >= 1),
    CONSTRAINT cost_opportunities_nan_check
        CHECK ('NaN' NOT IN (amount_variance, percent_variance))
);

CREATE INDEX IF NOT EXISTS cost_opportunities_cost_category_id_period_id_idx
    ON cost_opportunities (cost_category_id, period_id);

CREATE INDEX IF NOT EXISTS cost_opportunities_opportunity_type_idx
    ON cost_opportunities (opportunity_type);

COMMENT ON TABLE cost_opportunities IS
    'Pre-computed summary for the dashboard: a category''s variance in its period, and its type.';


-- ------------------------------------------------------------------------------------------------
-- cost_category_hospitals: a category's cost by hospital
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS cost_category_hospitals (
    id                integer        GENERATED BY DEFAULT AS IDENTITY,
    cost_category_id  integer        NOT NULL,
    hospital_name     varchar(255)   NOT NULL,
    discharges        integer,
    avg_los           numeric(5,2),
    spend             numeric(14,2),
    readmission_rate  numeric(5,2),
    display_order     integer,
    created_at        timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT cost_category_hospitals_pkey
        PRIMARY KEY (id),
    CONSTRAINT cost_category_hospitals_cost_category_id_hospital_name_key
        UNIQUE (cost_category_id, hospital_name),
    CONSTRAINT cost_category_hospitals_cost_category_id_fkey
        FOREIGN KEY (cost_category_id) REFERENCES cost_categories (id) ON DELETE CASCADE,
    CONSTRAINT cost_category_hospitals_discharges_check
        CHECK (discharges >= 0),
    CONSTRAINT cost_category_hospitals_avg_los_check
        CHECK (avg_los >= 0 AND avg_los <> 'NaN'),
    CONSTRAINT cost_category_hospitals_spend_check
        CHECK (spend >= 0 AND spend <> 'NaN'),
    CONSTRAINT cost_category_hospitals_readmission_rate_check
        CHECK (readmission_rate BETWEEN 0 AND 100)
);

CREATE INDEX IF NOT EXISTS cost_category_hospitals_cost_category_id_display_order_idx
    ON cost_category_hospitals (cost_category_id, display_order);

COMMENT ON TABLE cost_category_hospitals IS
    'Drill-down: what a category cost at one hospital, in the category''s period.';


-- ------------------------------------------------------------------------------------------------
-- cost_category_drgs: a category's cost by DRG (diagnosis related group)
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS cost_category_drgs (
    id                       integer        GENERATED BY DEFAULT AS IDENTITY,
    cost_category_id         integer        NOT NULL,
    drg_code                 varchar(20),
    drg_description          varchar(500)   NOT NULL,
    patient_count            integer,
    total_spend              numeric(14,2),
    benchmark_avg            numeric(14,2),
    avg_spend_per_patient    numeric(14,2)  GENERATED ALWAYS AS (
        round(total_spend / NULLIF(patient_count, 0), 2)
    ) STORED,
    -- A generated column cannot read another, so the average is repeated here. It is rounded here,
    -- too, so that the percentage follows to the last digit from the two columns next to it.
    percent_above_benchmark  numeric(9,2)   GENERATED ALWAYS AS (
        CASE WHEN abs(round(total_spend / NULLIF(patient_count, 0), 2) - benchmark_avg)
                  < 99999 * benchmark_avg
             THEN round(100 * (round(total_spend / NULLIF(patient_count, 0), 2) - benchmark_avg)
                        / benchmark_avg, 2)
        END
    ) STORED,
    display_order            integer,
    created_at               timestamptz    NOT NULL DEFAULT now(),

    CONSTRAINT cost_category_drgs_pkey
        PRIMARY KEY (id),
    -- A row without a code is a group of DRGs; there may be several, with different
    -- descriptions.
    CONSTRAINT cost_category_drgs_cost_category_id_drg_code_key
        UNIQUE (cost_category_id, drg_code),
    CONSTRAINT cost_category_drgs_cost_category_id_fkey
        FOREIGN KEY (cost_category_id) REFERENCES cost_categories (id) ON DELETE CASCADE,
    CONSTRAINT cost_category_drgs_patient_count_check
        CHECK (patient_count >= 0),
    CONSTRAINT cost_category_drgs_total_spend_check
        CHECK (total_spend >= 0 AND total_spend <> 'NaN'),
    CONSTRAINT cost_category_drgs_benchmark_avg_check
        CHECK (benchmark_avg >= 0 AND benchmark_avg <> 'NaN')
);

CREATE INDEX IF NOT EXISTS cost_category_drgs_cost_category_id_display_order_idx
    ON cost_category_drgs (cost_category_id, display_order);

COMMENT ON TABLE cost_category_drgs IS
    'Drill-down: what a category cost for one DRG (diagnosis related group), in its period.';


-- ------------------------------------------------------------------------------------------------
-- cost_category_discharging_hospitals: who sends patients to inpatient rehabilitation
--
-- Some names are shorter than <table>_<columns>: those would be truncated at 63 bytes.
-- ------------------------------------------------------------------------------------------------

CREATE TABLE IF NOT EXISTS cost_category_discharging_hospitals (
    id                                   integer       GENERATED BY DEFAULT AS IDENTITY,
    cost_category_id                     integer       NOT NULL,
    hospital_name                        varchar(255)  NOT NULL,
    discharges                           integer,
    percent_discharged_to_irf            numeric(5,2),
    percent_discharged_to_irf_benchmark  numeric(5,2),
    display_order                        integer,
    created_at                           timestamptz   NOT NULL DEFAULT now(),

    CONSTRAINT cost_category_discharging_hospitals_pkey
        PRIMARY KEY (id),
    CONSTRAINT cost_category_discharging_hospitals_hospital_name_key
        UNIQUE (cost_category_id, hospital_name),
    CONSTRAINT cost_category_discharging_hospitals_cost_category_id_fkey
        FOREIGN KEY (cost_category_id) REFERENCES cost_categories (id) ON DELETE CASCADE,
    CONSTRAINT cost_category_discharging_hospitals_discharges_check
        CHECK (discharges >= 0),
    CONSTRAINT cost_category_discharging_hospitals_irf_percent_check
        CHECK (percent_discharged_to_irf BETWEEN 0 AND 100),
    CONSTRAINT cost_category_discharging_hospitals_irf_benchmark_check
        CHECK (percent_discharged_to_irf_benchmark BETWEEN 0 AND 100)
);

CREATE INDEX IF NOT EXISTS cost_category_discharging_hospitals_display_order_idx
    ON cost_category_discharging_hospitals (cost_category_id, display_order);

COMMENT ON TABLE cost_category_discharging_hospitals IS
    'Drill-down: how often a hospital discharges to an IRF (inpatient rehabilitation facility).';


-- ------------------------------------------------------------------------------------------------
-- Triggers
--
-- A trigger on a table that lacks the column would make every update of that table fail, so each is
-- created only where its columns exist. A trigger that exists with the same definition is not
-- touched: a second run changes nothing, and does not enable a trigger that was disabled.
-- ------------------------------------------------------------------------------------------------

DO $triggers$
DECLARE
    missing record;
BEGIN
    FOR missing IN
        WITH wanted (table_name, trigger_name, event, call, needed_columns) AS (VALUES
            ('performance_periods', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}'),
            ('performance_metrics', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}'),
            ('cost_categories', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}'),
            ('recommendations', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}'),
            -- The server fires triggers in the order of their names, and this one has to come
            -- before the next.
            ('recommendations', 'stamp_given_name',
                 'UPDATE OF status_changed_by', 'stamp_status_change(''named'')',
                 '{status, status_changed_at, status_changed_by}'),
            ('recommendations', 'stamp_status_change',
                 'INSERT OR UPDATE', 'stamp_status_change()', '{status, status_changed_at}'),
            ('efficiency_kpis', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}'),
            ('cost_opportunities', 'set_updated_at',
                 'UPDATE', 'set_updated_at()', '{updated_at}')
        ), defined AS (
            SELECT to_regclass(quote_ident(wanted.table_name)) AS table_oid,
                   wanted.needed_columns::text[] AS needed_columns,
                   format('TRIGGER %I BEFORE %s ON %I FOR EACH ROW EXECUTE FUNCTION %s',
                          wanted.table_name || '_' || wanted.trigger_name,
                          wanted.event,
                          wanted.table_name,
                          'leadership_feedback_' || wanted.call) AS definition
            FROM wanted
        )
        SELECT defined.definition
        FROM defined
        WHERE cardinality(defined.needed_columns) = (
                  SELECT count(*)
                  FROM pg_attribute AS live
                  WHERE live.attrelid = defined.table_oid
                    AND live.attname = ANY (defined.needed_columns)
                    AND NOT live.attisdropped)
          AND NOT EXISTS (
                  SELECT
                  FROM pg_trigger AS live
                  WHERE live.tgrelid = defined.table_oid
                    AND pg_get_triggerdef(live.oid, true) = 'CREATE ' || defined.definition)
    LOOP
        EXECUTE 'CREATE OR REPLACE ' || missing.definition;
    END LOOP;
END
$triggers$;


-- ------------------------------------------------------------------------------------------------
-- The data dictionary: what every column means, and in which unit
--
-- Only columns that exist are commented, and only where the comment differs, so a second
-- run rewrites nothing. Read it with \d+ or with col_description().
-- ------------------------------------------------------------------------------------------------

DO $dictionary$
DECLARE
    entry record;
BEGIN
    FOR entry IN
        SELECT dictionary.table_name, dictionary.column_name, dictionary.meaning
        FROM (VALUES
            ('performance_periods', 'id',
                 'Surrogate key.'),
            ('performance_periods', 'period_key',
                 'Stable name for programs, lower snake case, such as ytd or last_quarter. '
                 'Unique.'),
            ('performance_periods', 'period_label',
                 'Name for people, as shown in the period selector.'),
            ('performance_periods', 'start_date',
                 'First day of the period, inclusive.'),
            ('performance_periods', 'end_date',
                 'Last day of the period, inclusive.'),
            ('performance_periods', 'is_active',
                 'Whether this is the period that the dashboard shows. True for one row at the '
                 'most.'),
            ('performance_periods', 'member_months',
                 'Attributed patients, summed over the months of the period: the denominator of '
                 'every PMPM (per member per month). NULL = unknown.'),
            ('performance_periods', 'created_at',
                 'When the row was inserted.'),
            ('performance_periods', 'updated_at',
                 'When the row was last written.'),

            ('performance_metrics', 'id',
                 'Surrogate key, and the order in which the metrics are shown.'),
            ('performance_metrics', 'period_id',
                 'The period that the number is of.'),
            ('performance_metrics', 'metric_type',
                 'What is measured, lower snake case, such as cost_pmpm. One of each per period.'),
            ('performance_metrics', 'current_value',
                 'The number itself. Its unit follows from metric_type: dollars, patients, a '
                 'score, percent.'),
            ('performance_metrics', 'previous_value',
                 'The same measure in the same window a year earlier, same unit. NULL = unknown.'),
            ('performance_metrics', 'change_percent',
                 'Derived, percent: (current - previous) / previous * 100. NULL if there is no '
                 'previous value, if it is 0, or if the result is 9,999,900 or more.'),
            ('performance_metrics', 'change_direction',
                 'Derived: up, down or flat, by comparing current_value with previous_value; no '
                 'word on good or bad.'),
            ('performance_metrics', 'benchmark_value',
                 'What the number is held against, same unit. NULL = there is no benchmark.'),
            ('performance_metrics', 'is_above_benchmark',
                 'Derived: whether current_value is greater than benchmark_value. NULL without a '
                 'benchmark.'),
            ('performance_metrics', 'display_format',
                 'How to print the value: currency (dollars), number or percent.'),
            ('performance_metrics', 'created_at',
                 'When the row was inserted.'),
            ('performance_metrics', 'updated_at',
                 'When the row was last written.'),

            ('cost_categories', 'id',
                 'Surrogate key: one category in one period.'),
            ('cost_categories', 'slug',
                 'Stable name for programs and addresses, kebab case, such as acute-rehab. The '
                 'same in every period.'),
            ('cost_categories', 'category_name',
                 'Name of the service line for people.'),
            ('cost_categories', 'period_id',
                 'The period that the numbers are of.'),
            ('cost_categories', 'spending_pmpm_actual',
                 'What was spent: dollars per member per month, over the member months of the '
                 'whole population, so that the categories add up.'),
            ('cost_categories', 'spending_pmpm_benchmark',
                 'What would have been expected: dollars per member per month.'),
            ('cost_categories', 'spending_variance_amount',
                 'Dollars of the whole period: (actual - benchmark) * member months. Positive = '
                 'overspent. NULL = member months unknown.'),
            ('cost_categories', 'spending_variance_percent',
                 'Derived, percent: (actual - benchmark) / benchmark * 100 of the PMPM. Positive = '
                 'overspent. NULL if the benchmark is 0 or the result is 9,999,900 or more.'),
            ('cost_categories', 'trend_percent',
                 'Percent: the change of the actual PMPM against the year before.'),
            ('cost_categories', 'utilization_actual',
                 'How much was used, in utilization_unit.'),
            ('cost_categories', 'utilization_benchmark',
                 'How much use would have been expected, in utilization_unit.'),
            ('cost_categories', 'utilization_variance_percent',
                 'Derived, percent: (actual - benchmark) / benchmark * 100 of the utilization. '
                 'NULL if the benchmark is 0 or the result is 9,999,900 or more.'),
            ('cost_categories', 'utilization_unit',
                 'Unit of the utilization, lower snake case, such as admits_per_k (admissions per '
                 '1,000 members and year). An open list.'),
            ('cost_categories', 'performance_status',
                 'Traffic light of the spending variance: red = above the benchmark, yellow = near '
                 'it, green = below it.'),
            ('cost_categories', 'is_opportunity',
                 'Whether to show the category as a place to save. Never together with '
                 'is_strength.'),
            ('cost_categories', 'is_strength',
                 'Whether to show the category as something that goes well. Never together with '
                 'is_opportunity.'),
            ('cost_categories', 'aco_rank',
                 'This practice''s place among the practices of the ACO for this category, 1 = '
                 'best. NULL = not ranked.'),
            ('cost_categories', 'total_categories',
                 'Denominator of aco_rank: how many practices are ranked (not how many categories '
                 'there are). NULL = unknown.'),
            ('cost_categories', 'description',
                 'What the category covers, in a sentence or two.'),
            ('cost_categories', 'display_order',
                 'Place in the list of the period''s categories, ascending.'),
            ('cost_categories', 'created_at',
                 'When the row was inserted.'),
            ('cost_categories', 'updated_at',
                 'When the row was last written.'),

            ('recommendations', 'id',
                 'Surrogate key.'),
            ('recommendations', 'title',
                 'The action, in a few words.'),
            ('recommendations', 'description',
                 'The action and the reason for it, in full.'),
            ('recommendations', 'status',
                 'How far it has got: not_started, acknowledged, accepted, rejected, '
                 'already_doing, in_progress or completed.'),
            ('recommendations', 'priority',
                 'How urgent it is: high, medium or low. NULL = not judged yet.'),
            ('recommendations', 'is_measurable',
                 'Whether its effect can be read from the dashboard''s own numbers.'),
            ('recommendations', 'estimated_savings',
                 'Expected savings in dollars a year. NULL = unknown, which is not 0.'),
            ('recommendations', 'affected_lives',
                 'How many patients it would reach. NULL = unknown.'),
            ('recommendations', 'cohort_size',
                 'How many patients are in the cohort that it chooses from. NULL = unknown.'),
            ('recommendations', 'implementation_complexity',
                 'How hard it is to carry out: high, medium or low. NULL = not judged yet.'),
            ('recommendations', 'patient_cohort',
                 'Which patients it is for, in words.'),
            ('recommendations', 'has_program_details',
                 'Whether there is a page of details: an overview, and rows in program_resources.'),
            ('recommendations', 'program_overview',
                 'The opening text of the page of details.'),
            ('recommendations', 'video_url',
                 'Address of a film about it, http or https.'),
            ('recommendations', 'can_convert_to_workflow',
                 'Whether it can be turned into a workflow, that is, into tasks for a care team.'),
            ('recommendations', 'workflow_type',
                 'Which workflow it would become. Only where can_convert_to_workflow is true.'),
            ('recommendations', 'status_changed_at',
                 'When the status last changed. Stamped by the server unless the writer gives a '
                 'time; NULL only while not_started.'),
            ('recommendations', 'status_changed_by',
                 'Who changed the status last, as the application names its users; the role if it '
                 'gives no name.'),
            ('recommendations', 'created_at',
                 'When the row was inserted.'),
            ('recommendations', 'updated_at',
                 'When the row was last written.'),

            ('recommendation_cost_categories', 'id',
                 'Surrogate key.'),
            ('recommendation_cost_categories', 'recommendation_id',
                 'The recommendation.'),
            ('recommendation_cost_categories', 'cost_category_id',
                 'The category that it touches. One row per pair.'),
            ('recommendation_cost_categories', 'impact_amount',
                 'The part of the recommendation''s savings that is expected in this category, '
                 'dollars a year. NULL = not quantified.'),
            ('recommendation_cost_categories', 'created_at',
                 'When the row was inserted.'),

            ('program_resources', 'id',
                 'Surrogate key; decides between rows of the same display_order.'),
            ('program_resources', 'recommendation_id',
                 'The recommendation that it helps with.'),
            ('program_resources', 'resource_type',
                 'What it is: best_practice, testimonial or implementation_step.'),
            ('program_resources', 'title',
                 'Heading. Only a testimonial may do without.'),
            ('program_resources', 'content',
                 'The text.'),
            ('program_resources', 'display_order',
                 'Place in the list of the recommendation''s resources, ascending.'),
            ('program_resources', 'author',
                 'Who wrote or said it. A testimonial always has one.'),
            ('program_resources', 'author_role',
                 'What the author does, such as medical director.'),
            ('program_resources', 'created_at',
                 'When the row was inserted.'),

            ('efficiency_kpis', 'id',
                 'Surrogate key.'),
            ('efficiency_kpis', 'period_id',
                 'The period that the measure is of.'),
            ('efficiency_kpis', 'kpi_type',
                 'What is measured, as a stable name for programs. One of each per period.'),
            ('efficiency_kpis', 'kpi_label',
                 'Name of the measure for people.'),
            ('efficiency_kpis', 'actual_value',
                 'The measured value, in the unit that display_format names.'),
            ('efficiency_kpis', 'aco_benchmark',
                 'The ACO''s own benchmark, same unit. NULL = there is none.'),
            ('efficiency_kpis', 'milliman_benchmark',
                 'Benchmark of the consultancy Milliman, same unit. Its benchmarks are '
                 'proprietary: without a licence for them, take a figure here as illustrative. '
                 'NULL = there is none.'),
            ('efficiency_kpis', 'variance_percent',
                 'Derived, percent: (actual - aco_benchmark) / aco_benchmark * 100. The sign is '
                 'arithmetic, not good or bad. NULL without a benchmark, if it is 0, or if the '
                 'result is 9,999,900 or more.'),
            ('efficiency_kpis', 'performance_status',
                 'Judgement, which knows whether high is good for this measure: good, warning, '
                 'poor or bad. NULL = not judged.'),
            ('efficiency_kpis', 'display_format',
                 'Unit, and how to print the values: percent (0 to 100), per_thousand (events per '
                 '1,000 members and year) or number.'),
            ('efficiency_kpis', 'display_order',
                 'Place in the list of the period''s measures, ascending.'),
            ('efficiency_kpis', 'aco_rank',
                 'This practice''s place among the practices of the ACO for this measure, 1 = '
                 'best. NULL = not ranked.'),
            ('efficiency_kpis', 'created_at',
                 'When the row was inserted.'),
            ('efficiency_kpis', 'updated_at',
                 'When the row was last written.'),

            ('cost_opportunities', 'id',
                 'Surrogate key.'),
            ('cost_opportunities', 'period_id',
                 'The period; always the same as the category''s.'),
            ('cost_opportunities', 'cost_category_id',
                 'The category that is summed up. Once per period.'),
            ('cost_opportunities', 'opportunity_type',
                 'Sign of amount_variance in a word: overspending (positive), efficient (negative) '
                 'or neutral (0).'),
            ('cost_opportunities', 'amount_variance',
                 'Copy of the category''s spending_variance_amount: dollars of the period, '
                 'positive = overspent. NULL = unknown.'),
            ('cost_opportunities', 'percent_variance',
                 'Copy of the category''s spending_variance_percent: percent, positive = '
                 'overspent. NULL = unknown.'),
            ('cost_opportunities', 'aco_rank',
                 'Copy of the category''s aco_rank, 1 = best. NULL = not ranked.'),
            ('cost_opportunities', 'display_order',
                 'Place in the summary, ascending.'),
            ('cost_opportunities', 'show_on_dashboard',
                 'Whether the summary shows it.'),
            ('cost_opportunities', 'created_at',
                 'When the row was inserted.'),
            ('cost_opportunities', 'updated_at',
                 'When the row was last written.'),

            ('cost_category_hospitals', 'id',
                 'Surrogate key.'),
            ('cost_category_hospitals', 'cost_category_id',
                 'The category, and through it the period, that the numbers are of.'),
            ('cost_category_hospitals', 'hospital_name',
                 'Name of the hospital. Once per category.'),
            ('cost_category_hospitals', 'discharges',
                 'Number of discharges in the period. NULL = unknown.'),
            ('cost_category_hospitals', 'avg_los',
                 'Average length of stay, days. NULL = unknown.'),
            ('cost_category_hospitals', 'spend',
                 'What the hospital''s share of the category cost, dollars of the period. NULL = '
                 'unknown.'),
            ('cost_category_hospitals', 'readmission_rate',
                 'Discharges followed by a readmission within 30 days, percent (0 to 100). NULL = '
                 'unknown.'),
            ('cost_category_hospitals', 'display_order',
                 'Place in the list of the category''s hospitals, ascending.'),
            ('cost_category_hospitals', 'created_at',
                 'When the row was inserted.'),

            ('cost_category_drgs', 'id',
                 'Surrogate key.'),
            ('cost_category_drgs', 'cost_category_id',
                 'The category, and through it the period, that the numbers are of.'),
            ('cost_category_drgs', 'drg_code',
                 'Code of the DRG (diagnosis related group), with leading zeros. Once per '
                 'category. NULL = a group of DRGs.'),
            ('cost_category_drgs', 'drg_description',
                 'Title of the DRG.'),
            ('cost_category_drgs', 'patient_count',
                 'Number of patients. NULL = unknown.'),
            ('cost_category_drgs', 'total_spend',
                 'What they cost together, dollars of the period. NULL = unknown.'),
            ('cost_category_drgs', 'benchmark_avg',
                 'What one of them would be expected to cost, dollars. NULL = there is no '
                 'benchmark.'),
            ('cost_category_drgs', 'avg_spend_per_patient',
                 'Derived, dollars: total_spend / patient_count. NULL if either is unknown or '
                 'there are no patients.'),
            ('cost_category_drgs', 'percent_above_benchmark',
                 'Derived, percent: (avg_spend_per_patient - benchmark_avg) / benchmark_avg * 100; '
                 'negative = below. NULL if either is unknown, the benchmark is 0 or the result is '
                 '9,999,900 or more.'),
            ('cost_category_drgs', 'display_order',
                 'Place in the list of the category''s DRGs, ascending.'),
            ('cost_category_drgs', 'created_at',
                 'When the row was inserted.'),

            ('cost_category_discharging_hospitals', 'id',
                 'Surrogate key.'),
            ('cost_category_discharging_hospitals', 'cost_category_id',
                 'The category, and through it the period, that the numbers are of.'),
            ('cost_category_discharging_hospitals', 'hospital_name',
                 'Name of the hospital that discharges. Once per category.'),
            ('cost_category_discharging_hospitals', 'discharges',
                 'Number of its acute discharges in the period that went to an IRF (inpatient '
                 'rehabilitation facility). NULL = unknown.'),
            ('cost_category_discharging_hospitals', 'percent_discharged_to_irf',
                 'Share of its acute discharges that went to an IRF, percent (0 to 100). NULL = '
                 'unknown.'),
            ('cost_category_discharging_hospitals', 'percent_discharged_to_irf_benchmark',
                 'What that share would be expected to be, percent (0 to 100). NULL = there is no '
                 'benchmark.'),
            ('cost_category_discharging_hospitals', 'display_order',
                 'Place in the list of the category''s discharging hospitals, ascending.'),
            ('cost_category_discharging_hospitals', 'created_at',
                 'When the row was inserted.')
        ) AS dictionary (table_name, column_name, meaning)
        JOIN pg_attribute AS live
          ON live.attrelid = to_regclass(quote_ident(dictionary.table_name))
         AND live.attname = dictionary.column_name
         AND NOT live.attisdropped
        WHERE col_description(live.attrelid, live.attnum) IS DISTINCT FROM dictionary.meaning
    LOOP
        EXECUTE format('COMMENT ON COLUMN %I.%I IS %L',
                       entry.table_name, entry.column_name, entry.meaning);
    END LOOP;
END
$dictionary$;
