-- expect: drifted table cost_categories: index cost_categories_period_id_display_order_idx
DROP INDEX cost_categories_period_id_display_order_idx;
CREATE INDEX cost_categories_period_id_display_order_idx
    ON cost_categories (display_order, period_id);
