-- expect: drifted view v_current_cost_categories: trigger aside
CREATE TRIGGER aside INSTEAD OF INSERT ON v_current_cost_categories
    FOR EACH ROW EXECUTE FUNCTION leadership_feedback_set_updated_at();
