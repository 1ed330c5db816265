"""The documents, as the OpenAPI document describes them. The queries build them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from lfmigrate.dashboard.parameters import Status

Text = Annotated[str, Field(description="Text.")]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$", description="A day, inclusive.")]
_TIME = r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{6}Z$"
Time = Annotated[str, Field(pattern=_TIME, description="A time in UTC.")]
Id = Annotated[int, Field(description="The row's id.")]
Order = Annotated[int | None, Field(description="The place in a list, ascending.")]
Pmpm = Annotated[float, Field(description="$ per member per month, 2 decimals.")]
Dollars = Annotated[float, Field(description="$ of the period, 2 decimals.")]
Percent = Annotated[float, Field(description="Percentage points, 2 decimals.")]
Rank = Annotated[int | None, Field(description="Rank among practices; 1 is best.")]
Light = Annotated[
    Literal["red", "yellow", "green"],
    Field(description="red: over 3% above the benchmark; green: below; yellow: near."),
]
Unknown = "null: unknown."


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", alias_generator=to_camel)


class Period(_Document):
    """A reporting period."""

    id: Id
    period_key: str = Field(description="Its name for programs.")
    period_label: str = Field(description="Its name for people.")
    start_date: Date
    end_date: Date
    is_active: bool = Field(description="Whether it is the one that is shown.")
    member_months: int | None = Field(description=f"The denominator of every PMPM. {Unknown}")


class Summary(_Document):
    """The totals of all categories of a period."""

    actual_pmpm: Pmpm | None
    benchmark_pmpm: Pmpm | None
    variance_percent: Percent | None = Field(description="%, of the two sums.")
    overspend_amount: Dollars | None = Field(description="$, the sum of the positive variances.")
    underspend_amount: Dollars | None = Field(description="$, the sum of the negative variances.")
    net_amount: Dollars | None = Field(description="$, the sum of all variances.")
    red: int = Field(description="How many categories.")
    yellow: int = Field(description="How many categories.")
    green: int = Field(description="How many categories.")


class Metric(_Document):
    """One headline number of a period."""

    id: Id
    period_id: Id
    metric_type: str = Field(description="What it measures, such as total_cost_pmpm.")
    current_value: float = Field(description="In the unit of displayFormat, 4 decimals.")
    previous_value: float | None = Field(description="The same window a year earlier.")
    change_percent: Percent | None
    change_direction: Literal["up", "down", "flat"] | None = Field(description=Unknown)
    benchmark_value: float | None = Field(description="In the same unit, 4 decimals.")
    is_above_benchmark: bool | None = Field(description=Unknown)
    display_format: Literal["currency", "number", "percent"] = Field(description="The unit.")


class Variance(_Document):
    """How far the spending of one category is from its benchmark."""

    id: Id
    slug: str = Field(description="Its name for programs, the same in every period.")
    category_name: str = Field(description="Its name for people.")
    performance_status: Light
    spending_variance_amount: Dollars | None
    spending_variance_percent: Percent | None


class Opportunity(_Document):
    """One category in the summary of a period."""

    id: Id
    period_id: Id
    cost_category_id: Id
    opportunity_type: Literal["overspending", "efficient", "neutral"] = Field(description="Kind.")
    amount_variance: Dollars | None
    percent_variance: Percent | None
    aco_rank: Rank
    display_order: Order
    category_slug: str = Field(description="The category's slug.")
    category_name: str = Field(description="The category's name.")
    performance_status: Light
    spending_pmpm_actual: Pmpm
    spending_pmpm_benchmark: Pmpm


class Kpi(_Document):
    """A quality or efficiency measure of a period."""

    id: Id
    period_id: Id
    kpi_type: str = Field(description="What it measures, such as ed_visits_per_k.")
    kpi_label: str = Field(description="The same for people.")
    actual_value: float = Field(description="In the unit of displayFormat, 2 decimals.")
    aco_benchmark: float | None = Field(description="In the same unit, 2 decimals.")
    milliman_benchmark: float | None = Field(description="In the same unit, 2 decimals.")
    variance_percent: Percent | None = Field(description="%, arithmetic, against acoBenchmark.")
    performance_status: Literal["good", "warning", "poor", "bad"] | None = Field(
        description="What it means, whatever the sign."
    )
    display_format: Literal["percent", "per_thousand", "number"] = Field(description="The unit.")
    display_order: Order
    aco_rank: Rank


class Touched(_Document):
    """A category that a recommendation touches."""

    category_id: Id
    category_name: str = Field(description="The category's name.")
    category_slug: str = Field(description="The category's slug.")
    performance_status: Light
    impact_amount: float | None = Field(description=f"$ a year saved here, 2 decimals. {Unknown}")


class Recommendation(_Document):
    """What can be done, what it is worth, and what was decided."""

    id: Id
    title: Text
    description: Text | None
    status: Status = Field(description="What was decided.")
    priority: Literal["high", "medium", "low"] | None = Field(description=Unknown)
    is_measurable: bool = Field(description="Whether its effect can be measured.")
    estimated_savings: float | None = Field(description=f"$ a year, 2 decimals. {Unknown}")
    affected_lives: int | None = Field(description="Patients that it reaches.")
    cohort_size: int | None = Field(description="Patients in the cohort.")
    implementation_complexity: Literal["high", "medium", "low"] | None = Field(description=Unknown)
    patient_cohort: str | None = Field(description="The cohort in words.")
    has_program_details: bool = Field(description="Whether there is a program.")
    can_convert_to_workflow: bool = Field(description="Whether it can become a workflow.")
    workflow_type: str | None = Field(description="Which workflow.")
    created_at: Time
    updated_at: Time
    status_changed_at: Time | None
    status_changed_by: str | None = Field(description="Who decided.")
    affected_categories: list[Touched] = Field(description="The categories that it touches.")


class CategoryRecommendation(Recommendation):
    """A recommendation, and what it means for one category."""

    impact_amount: float | None = Field(description="$ a year, this category's share.")
    impact_share_percent: float | None = Field(description="%, of the overspend, 1 decimal.")


class Category(_Document):
    """One service line in one period."""

    id: Id
    period_id: Id
    display_order: Order
    slug: str = Field(description="Its name for programs; the same in every period.")
    category_name: str = Field(description="Its name for people.")
    description: Text | None
    spending_pmpm_actual: Pmpm
    spending_pmpm_benchmark: Pmpm
    spending_variance_amount: Dollars | None = Field(description="$, + is overspent.")
    spending_variance_percent: Percent | None
    trend_percent: float | None = Field(description="%, against the year before, 1 decimal.")
    utilization_actual: float = Field(description="In utilizationUnit, 2 decimals.")
    utilization_benchmark: float = Field(description="In utilizationUnit, 2 decimals.")
    utilization_variance_percent: Percent | None
    utilization_unit: str | None = Field(description="Such as admits_per_k; an open list.")
    performance_status: Light
    status_label: str = Field(description="performanceStatus in a word.")
    is_opportunity: bool = Field(description="Whether it is a place to save.")
    is_strength: bool = Field(description="Whether it goes well.")
    aco_rank: Rank
    total_categories: int | None = Field(description="The denominator of acoRank.")
    use_effect_amount: float | None = Field(description="$, the variance by more or less use.")
    price_effect_amount: float | None = Field(description="$, the variance by price.")


class CategoryInPeriod(_Document):
    """The same category in one of the periods."""

    period_key: str = Field(description="The period.")
    period_label: str = Field(description="The same for people.")
    start_date: Date
    end_date: Date
    spending_pmpm_actual: Pmpm
    spending_pmpm_benchmark: Pmpm
    spending_variance_percent: Percent | None
    utilization_actual: float = Field(description="In the category's unit, 2 decimals.")
    utilization_benchmark: float = Field(description="In the category's unit, 2 decimals.")
    performance_status: Light


class Hospital(_Document):
    """A hospital's part of a category."""

    id: Id
    cost_category_id: Id
    hospital_name: str = Field(description="Its name.")
    discharges: int | None = Field(description="In the period.")
    avg_los: float | None = Field(description="Average length of stay in days, 2 decimals.")
    spend: Dollars | None
    spend_per_discharge: float | None = Field(description="$, 2 decimals. null: no discharges.")
    readmission_rate: Percent | None
    display_order: Order


class Drg(_Document):
    """A diagnosis-related group's part of a category."""

    id: Id
    cost_category_id: Id
    drg_code: str | None = Field(description="The code.")
    drg_description: str = Field(description="What it is.")
    patient_count: int | None = Field(description="Patients.")
    total_spend: Dollars | None
    avg_spend_per_patient: float | None = Field(description="$, 2 decimals.")
    benchmark_avg: float | None = Field(description="$ per patient, 2 decimals.")
    percent_above_benchmark: Percent | None
    display_order: Order


class DischargingHospital(_Document):
    """A hospital that discharges patients to inpatient rehabilitation facilities (IRF)."""

    id: Id
    cost_category_id: Id
    hospital_name: str = Field(description="Its name.")
    discharges: int | None = Field(description="Acute discharges that went to an IRF.")
    percent_discharged_to_irf: Percent | None
    percent_discharged_to_irf_benchmark: Percent | None
    display_order: Order


class _OfPeriod(_Document):
    period: Period = Field(description="The period of the document.")
    periods: list[Period] = Field(description="All periods, the active one first.")
    data_updated_at: Time | None = Field(description="When one of the rows was last changed.")


class PerformanceInsights(_OfPeriod):
    """How a period went, and where the money is."""

    summary: Summary = Field(description="Of all categories.")
    metrics: list[Metric] = Field(description="In the order of their ids.")
    categories: list[Variance] = Field(description="All of the period, most overspent first.")
    cost_opportunities: list[Opportunity] = Field(description="Those to be shown.")
    efficiency_kpis: list[Kpi] = Field(description="In their order.")
    top_recommendations: list[Recommendation] = Field(description="At most two.")


class CostCategories(_OfPeriod):
    """The categories of a period."""

    summary: Summary = Field(description="Of all categories, whatever the filter.")
    total_count: int = Field(description="How many the filter finds.")
    categories: list[Category] = Field(description="Those of this page.")


class CostCategory(_OfPeriod):
    """One category of a period, and what it consists of."""

    category: Category = Field(description="The category.")
    by_period: list[CategoryInPeriod] = Field(description="In all periods, oldest first.")
    recommendations: list[CategoryRecommendation] = Field(description="At most 500.")
    hospitals: list[Hospital] = Field(description="At most 500.")
    drgs: list[Drg] = Field(description="At most 500.")
    discharging_hospitals: list[DischargingHospital] = Field(description="At most 500.")
    truncated: list[str] = Field(description="Names of the lists that had more rows.")


class Filters(_Document):
    """What was asked for."""

    status: str | None = Field(description="null: all.")
    priority: str | None = Field(description="null: all.")
    category: str | None = Field(description="null: all.")


class CategoryName(_Document):
    """A category that recommendations touch."""

    category_slug: str = Field(description="Its name for programs.")
    category_name: str = Field(description="Its name for people.")


class Counts(_Document):
    """How many recommendations there are of each status and each priority."""

    status: dict[str, int] = Field(description="Per status.")
    priority: dict[str, int] = Field(description="Per priority; none: without one.")


class Recommendations(_Document):
    """The recommendations."""

    recommendations: list[Recommendation] = Field(description="Those of this page.")
    total_count: int = Field(description="How many the filter finds.")
    filters: Filters = Field(description="As requested.")
    counts: Counts = Field(description="Of all, whatever the filter.")
    categories: list[CategoryName] = Field(description="Those that any recommendation touches.")
    can_change_status: bool = Field(description="Whether a status can be changed here.")
    data_updated_at: Time | None = Field(description="When one of the rows was last changed.")


class Resource(_Document):
    """How to carry a recommendation out."""

    id: Id
    recommendation_id: Id
    resource_type: str = Field(description="best_practice, testimonial or implementation_step.")
    title: Text | None
    content: Text
    display_order: Order
    author: str | None = Field(description="Who says it.")
    author_role: str | None = Field(description="What that person does.")


class ProgramResources(_Document):
    """The resources of a program, by their type."""

    best_practices: list[Resource] = Field(description="What has worked.")
    testimonials: list[Resource] = Field(description="What people say.")
    implementation_steps: list[Resource] = Field(description="What to do, in order.")


class RecommendationDetails(Recommendation):
    """One recommendation and its program."""

    program_overview: Text | None
    video_url: str | None = Field(description="http or https.")
    can_change_status: bool = Field(description="Whether its status can be changed here.")
    program_resources: ProgramResources | None = Field(description="null: no program details.")
    impact_amount: float | None = Field(None, description="$; only with categoryName.")


class ChangedStatus(_Document):
    """The audit columns after a change."""

    id: Id
    status: Status = Field(description="The status now.")
    status_changed_at: Time | None
    status_changed_by: str | None = Field(description="Who changed it.")
    updated_at: Time


class StatusChanged(_Document):
    """The answer to a change of a status."""

    success: Literal[True] = Field(description="Always.")
    recommendation: ChangedStatus = Field(description="As it is now.")


class Health(_Document):
    """The answer while the database can be reached."""

    status: Literal["ok"] = Field(description="Always.")


class ProblemDocument(BaseModel):
    """What went wrong (RFC 9457)."""

    model_config = ConfigDict(extra="allow")

    type: str = Field(description="urn:lfmigrate:dashboard: and a word.")
    title: str = Field(description="What went wrong.")
    status: int = Field(description="The HTTP status.")
    detail: str = Field(description="What to do.")
    instance: str = Field(description="The request's id, which is in the log.")
